import { CodistillError, ExitCode } from '../errors.ts';
import { CloseCode } from './closeCodes.ts';

/** A frame that is not a valid message. Its sender is to be disconnected with `closeCode`. */
export class ProtocolError extends CodistillError {
  override readonly name = 'ProtocolError';
  readonly closeCode: CloseCode;

  constructor(message: string, closeCode: CloseCode = CloseCode.malformed, options?: ErrorOptions) {
    super(message, ExitCode.refused, options);
    this.closeCode = closeCode;
  }
}
