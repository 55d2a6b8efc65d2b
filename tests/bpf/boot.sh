#!/bin/sh
# Boots a kernel in an emulated machine whose files are this machine's, read-only,
# and runs a script there as root. Emulated, not virtual: slow, but the same
# wherever it runs.
#
#   tests/bpf/boot.sh KERNEL SCRIPT SHARE
#
# KERNEL: a directory of tests/bpf/kernel.sh. SHARE: a directory of ours, written to
# by the script, to which it is /mnt. /run is empty there and in memory. Prints what the script
# does; its exit status, or 124 when the machine did not answer in time.
set -eu

[ $# -eq 3 ] || { echo "usage: $0 KERNEL SCRIPT SHARE" >&2; exit 2; }
kernel=$1 script=$2 share=$3
tools=$(dirname "$kernel")/tools
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu:$tools/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH
# Up to 6.x modules stand below lib, and the kernel in boot.
base=$kernel
[ -d "$base/lib/modules" ] || base=$kernel/usr
version=$(ls "$base/lib/modules")
image=$kernel/boot/vmlinuz-$version
[ -f "$image" ] || image=$base/lib/modules/$version/vmlinuz

# A first file system: busybox and the modules it takes to see this machine's files.
mkdir -p "$work/root/bin" "$work/root/modules" "$work/root/host" "$work/root/proc"
cp "$tools/bin/busybox" "$work/root/bin/busybox"
# kmod is what it is called as; its own links lead into the machine's.
ln -s "$tools/bin/kmod" "$work/depmod"
ln -s "$tools/bin/kmod" "$work/modprobe"
[ -f "$base/lib/modules/$version/modules.dep" ] || "$work/depmod" -b "$base" "$version"
number=100
for name in virtio_pci 9pnet_virtio 9p; do
	"$work/modprobe" -d "$base" -S "$version" --show-depends "$name"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$work/modules"
while read -r module; do
	number=$((number + 1))
	case $module in
	*.xz) xz -dc "$module" ;;
	*.zst) zstd -dcq "$module" ;;
	*) cat "$module" ;;
	esac >"$work/root/modules/$number.ko"
done <"$work/modules"
cat >"$work/root/init" <<'END'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
for module in /modules/*.ko; do $b insmod $module; done
share=trans=virtio,version=9p2000.L,msize=262144
$b mount -t 9p -o $share,ro,cache=loose host /host
$b mount -t proc proc /host/proc
$b mount -t sysfs sysfs /host/sys
$b mount -t devtmpfs devtmpfs /host/dev
$b mount -t tmpfs tmpfs /host/run
$b mount -t 9p -o $share share /host/mnt
$b mount -t bpf bpf /host/sys/fs/bpf
$b mount -t tracefs tracefs /host/sys/kernel/tracing
cd /host/mnt && TMPDIR=/run PATH=/usr/sbin:/usr/bin:/sbin:/bin $b chroot /host /bin/sh -c 'cd /mnt && exec /bin/sh /mnt/.script </dev/null'
echo "boot.sh: status $?"
$b sync
$b poweroff -f
END
chmod +x "$work/root/init"
(cd "$work/root" && find . | "$tools/bin/busybox" cpio -o -H newc 2>/dev/null) >"$work/initrd"
cp "$script" "$share/.script"

# Several threads of emulation crash kernels that patch their own code.
timeout 480 "$tools/usr/bin/qemu-system-x86_64" -accel tcg,thread=single -cpu max,-la57 -M q35 -smp 2 -m 1024 \
	-L "$tools/usr/share/qemu" -L "$tools/usr/share/seabios" -nodefaults -no-user-config -no-reboot \
	-display none -serial stdio -kernel "$image" -initrd "$work/initrd" \
	-append 'console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable' \
	-fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
	-device virtio-9p-pci,fsdev=host,mount_tag=host \
	-fsdev "local,id=share,path=$share,security_model=none" -device virtio-9p-pci,fsdev=share,mount_tag=share \
	</dev/null 2>&1 | tr -d '\r' >"$work/console" || true
grep -v '^boot.sh: status' "$work/console" || true
status=$(sed -n 's/^boot.sh: status //p' "$work/console")
exit "${status:-124}"
