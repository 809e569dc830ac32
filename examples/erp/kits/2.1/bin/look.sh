# Runs in the kit's folder on the machine; CLONA_SYSTEM_DISK is the machine's system disk.
set -eu
found=$("$CLONA_SYSTEM_DISK/program/bin/erp" version)
echo "the program says $found"
test "$found" = "$CLONA_KIT_VERSION"
