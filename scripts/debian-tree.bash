#!/usr/bin/env bash
# Makes trees of another Debian than the machine's, for what that one does not have, such as MySQL.
# Scripts like fetch-mysql source it and call fetch_tree. A tree is a minimal system of one of
# Debian's releases, or of its unstable branch, sid, with a few more packages, run by chroot. The
# machine itself gets only debootstrap and Debian's keys.
#
# The packages come from the mirror of the machine's apt, whoever that is. So debootstrap must find
# a signature by Debian's keys (--force-check-gpg): without keys it would warn, and go on. It does
# not look at a Release file's date (Valid-Until), so an old mirror is no error. To make a tree
# needs root, or a sudo that asks for no password. A tree appears in one step.
#
# The script that sources it sets
#
#   SUITE           the release, or sid
#   WHAT DURATION   what is fetched and how long that takes, for messages
#   PACKAGES        what debootstrap adds to a minimal system, separated by commas
#   finish TREE     completes a new tree
#   works TREE      whether this machine can run what is in the tree
#
# and exits with 77 if this machine can't have the tree, with the reason on stderr.
# shellcheck disable=SC2153 # the scripts that source it set them
set -euo pipefail

readonly BOOTSTRAP_TIMEOUT_S=1800
readonly UNAVAILABLE=77
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH=$PATH:/usr/sbin

unavailable() {
    echo "$(basename "$0"): $1" >&2
    if [[ -s ${2:-} ]]; then
        tail -n 20 "$2" >&2
    fi
    exit "$UNAVAILABLE"
}

# Prints the first mirror of the machine's own release. apt tells its mirrors, whatever the format
# of its files, even before the first `apt-get update`.
mirror() {
    local codename
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # apt expands them
    apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v codename="$codename" '
            $3 == "main" && $2 == codename && $1 ~ /^(https?|file):/ && !found { print $1; found = 1 }
        '
}

# debootstrap downloads with wget, which does not read apt's settings.
use_proxy_of_apt() {
    local scheme proxy
    for scheme in http https; do
        proxy=
        eval "$(apt-config shell proxy "Acquire::$scheme::Proxy")"
        if [[ $proxy && $proxy != DIRECT ]]; then
            export "${scheme}_proxy=$proxy"
        fi
    done
}

bootstrap() {
    local folder=$1 uri isolated=() new=$1.new log=$1.new.log
    command -v apt-get >/dev/null || unavailable "needs Debian's apt and debootstrap"
    uri=$(mirror)
    [[ $uri ]] || unavailable "apt knows no mirror of this machine's release"
    [[ -s $KEYRING ]] || unavailable "Debian's keys are missing: $KEYRING, of the package debian-archive-keyring"
    use_proxy_of_apt
    # debootstrap mounts /proc in the tree. In a mount namespace of its own nothing stays mounted,
    # whatever ends it.
    if unshare --mount true 2>/dev/null; then
        isolated=(unshare --mount)
    fi
    rm -rf --one-file-system "$new"
    echo "fetching $WHAT (once, $DURATION)" >&2
    timeout "$BOOTSTRAP_TIMEOUT_S" nice "${isolated[@]}" debootstrap --variant=minbase --include="$PACKAGES" \
        --force-check-gpg --keyring="$KEYRING" "$SUITE" "$new" "$uri" </dev/null >"$log" 2>&1 || unavailable "debootstrap failed" "$log"
    rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/*
    finish "$new"
    works "$new" || unavailable "the $WHAT that was fetched does not run" "$log"
    mv --no-target-directory "$new" "$folder"
    rm -f "$log"
}

# Prints the tree's path, and makes the tree first if it is missing.
#
#   fetch_tree FOLDER [ARGUMENT…]
#
# The arguments are those of the script that are before FOLDER.
fetch_tree() {
    local folder lock
    folder=$(realpath --canonicalize-missing -- "$1")
    shift
    if [[ -e $folder ]]; then
        works "$folder" || unavailable "the $WHAT in $folder does not run; remove the folder to have it made anew"
        echo "$folder"
        return 0
    fi

    if [[ $EUID -ne 0 ]]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            exec sudo -n bash "$0" "$@" "$folder"
        fi
        unavailable "$WHAT is not there yet; run as root: $root/scripts/$(basename "$0") $* $folder"
    fi

    bash "$root/scripts/install-packages" tree >&2 || unavailable 'debootstrap cannot be installed'
    mkdir -p "$(dirname "$folder")"
    exec {lock}>"$folder.lock"
    flock --timeout "$BOOTSTRAP_TIMEOUT_S" "$lock" || unavailable "another run makes $folder since $BOOTSTRAP_TIMEOUT_S s"
    if [[ ! -e $folder ]]; then
        bootstrap "$folder"
    fi
    echo "$folder"
}
