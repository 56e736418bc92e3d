#!/usr/bin/env bash
# Rehearses the Dockerfile where there is no Docker: executes its steps in Debian roots, and runs what they made.
#
#   docker/rehearse.sh build TARGET ... [ARG=VALUE ...]
#   docker/rehearse.sh run TARGET [VARIABLE=VALUE | PATH:MOUNTED_ON ...] [-- ARGUMENT ...]
#   docker/rehearse.sh check TARGET [VARIABLE=VALUE ...]         its HEALTHCHECK
#
# Wants root, debootstrap, and Node.js with npm. The roots are in $REHEARSAL (/tmp/codistill-rehearsal); what is in the
# folder $OVERLAY, such as a mirror's settings, is copied over each. A root of Debian 12 with this machine's Node.js
# stands for Node.js's image, and one without it for NVIDIA's, where CUDA's libraries are missing then. Steps have a file
# system of their own and no other isolation; those of other users than root have no capabilities and no way to any.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
roots=${REHEARSAL:-/tmp/codistill-rehearsal}
context=$roots/context
say() { echo "rehearse: $*" >&2; }
fail() { say "$*"; exit 1; }

# The instructions of a stage, one a line; without a name, those before the first stage.
steps() {
  sed '/^\s*#/d' "$here/Dockerfile" | sed -e ':a' -e '/\\$/{N;s/\s*\\\n\s*/ /;ba}' |
    awk -v stage="${1-}" '$1 == "FROM" { name = $4 } $1 && name == stage'
}

# What the ignore file lets through: it is a list of exceptions from "*".
make_context() {
  local path
  rm -rf "$context"
  sed -n 's/^!//p' "$here/Dockerfile.dockerignore" | while read -r path; do
    mkdir -p "$(dirname "$context/$path")"
    cp -r "$here/../$path" "$context/$path"
  done
}

# Executes "$@" as $user in $folder of $root, with $variables and $mounts; in the place of this process if $replace.
enter() {
  local as=() home
  home=$(awk -F: -v user="$user" '$1 == user { print $6 }' "$root/etc/passwd")
  [ "$user" = root ] || as=(setpriv --reuid="$user" --regid="$user" --init-groups --bounding-set=-all --no-new-privs)
  # shellcheck disable=SC2016
  ${replace:+exec} unshare --mount bash -euc '
    root=$1 mounts=$2
    shift 2
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    for pair in $mounts; do
      from=${pair%%:*} to=$root${pair#*:}
      if [ -d "$from" ]; then mkdir -p "$to"; else mkdir -p "${to%/*}" && touch "$to"; fi
      mount --bind "$from" "$to"
    done
    exec "$@"' - "$root" "${mounts-}" \
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME="$home" "${variables[@]}" \
    chroot "$root" "${as[@]}" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
}

# Makes $root what stands for the image $1.
base() {
  if [ ! -e "$roots/debian.done" ]; then
    say 'making a Debian root'
    rm -rf "$roots/debian"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$roots/debian" > "$roots/debootstrap.log" ||
      fail "debootstrap failed: see $roots/debootstrap.log"
    cp /etc/resolv.conf /etc/hosts "$roots/debian/etc/"
    touch "$roots/debian.done"
  fi
  cp -a --reflink=auto "$roots/debian" "$root"
  [ -z "${OVERLAY-}" ] || cp -r "$OVERLAY/." "$root/"
  say "$1: a Debian root stands for it"
  [[ $1 == node:* ]] || return 0
  [[ $1 == node:$(node -p process.versions.node)-* ]] || say "with another Node.js: $(node -v)"
  cp "$(node -p process.execPath)" "$root/usr/local/bin/node"
  mkdir -p "$root/usr/local/lib/node_modules"
  cp -r "$(npm root --global)/npm" "$root/usr/local/lib/node_modules/"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  chroot "$root" useradd --uid 1000 --create-home node
}

copy() {
  local from=$context paths=() to path
  eval "set -- $1"
  for path in "$@"; do
    case $path in
      --from=*)
        build "${path#--from=}"
        from=$roots/${path#--from=} ;;
      --*) fail "COPY $path: not rehearsed" ;;
      *) paths+=("$path") ;;
    esac
  done
  to=${paths[-1]}
  [[ $to == /* ]] || to=$folder/$to
  for path in "${paths[@]::${#paths[@]}-1}"; do
    [ ! -d "$from/$path" ] || { path+=/. && to=${to%/}/; }
    mkdir -p "$root${to%/*}"
    cp -a --no-preserve=ownership "$from/$path" "$root$to"
  done
}

# Makes the root of a stage, and first those that it is made of. A subshell: its variables are those of the stage.
build() (
  stage=$1 root=$roots/$1 user=root folder=/ variables=() own=()
  [ ! -e "$root" ] || exit 0
  [ -n "$(steps "$stage")" ] || fail "expected the name of a stage of the Dockerfile, got $stage"
  for argument in $(steps | sed 's/^ARG //') "${arguments[@]}"; do export "${argument?}"; done
  while read -r name rest <&3; do
    say "$stage: $name $rest"
    case $name in
      FROM)
        eval "parent=${rest%% *}"
        if [ -n "$(steps "$parent")" ]; then
          build "$parent"
          cp -a --reflink=auto "$roots/$parent" "$root"
          . "$roots/$parent.state"
        else base "$parent"; fi ;;
      # One that was given, or has a value already, keeps it.
      ARG) own+=("${rest%%=*}") && [ -n "${!own[-1]-}" ] || export "${rest?}" ;;
      ENV) eval "variables+=($rest)" ;;
      RUN) (
        for name in "${own[@]}"; do variables+=("$name=${!name}"); done
        enter sh -c "$rest"
      ) || fail "the step failed in $root" ;;
      COPY) copy "$rest" ;;
      USER) user=$rest ;;
      WORKDIR) folder=$rest && mkdir -p "$root$folder" ;;
      ENTRYPOINT) entrypoint=$rest ;;
      CMD) command=$rest ;;
      HEALTHCHECK) check=${rest#*CMD } ;;
      EXPOSE) ;;
      *) fail "$name: not rehearsed" ;;
    esac
  done 3< <(steps "$stage")
  declare -p user folder variables ${entrypoint+entrypoint} ${command+command} ${check+check} > "$roots/$stage.state"
)

words() { node -e 'for (const word of JSON.parse(process.argv[1])) console.log(word)' "$1"; }

[ $# -ge 2 ] || fail "expected build, run or check, and a target; see the head of $0"
action=$1
shift
if [ "$action" = build ]; then
  # All but Debian's own: a stage is never what an older Dockerfile made.
  mkdir -p "$roots"
  find "$roots" -mindepth 1 -maxdepth 1 ! -name 'deb*' -exec rm -rf {} +
  make_context
  arguments=() targets=()
  for word in "$@"; do if [[ $word == *=* ]]; then arguments+=("$word"); else targets+=("$word"); fi; done
  for target in "${targets[@]}"; do
    start=$SECONDS
    build "$target"
    say "$target: $(du -sm "$roots/$target" | cut -f 1) MB, of which Debian $(du -sm "$roots/debian" | cut -f 1); $((SECONDS - start)) s"
  done
  exit
fi
target=$1 root=$roots/$1
shift
[ -e "$root.state" ] || fail "expected a target that was built, got $target: $0 build $target"
. "$root.state"
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  if [[ $1 =~ ^[A-Z_]+= ]]; then variables+=("$1"); else mounts="${mounts-} $1"; fi
  shift
done
replace=yes
if [ "$action" = check ]; then mapfile -t program < <(words "$check"); enter "${program[@]}"; fi
mapfile -t program < <(words "$entrypoint")
if [ $# -gt 1 ]; then program+=("${@:2}"); else mapfile -t -O "${#program[@]}" program < <(words "${command-[]}"); fi
enter "${program[@]}"
