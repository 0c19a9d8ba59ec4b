#!/bin/sh
# Runs inside the new root file system: its kernels, its ordinary user, its services.
# usage: install.sh SUITE...   the first suite is the system's own; each gives its kernel
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

mirror=$(awk '{ print $2; exit }' /etc/apt/sources.list)
for suite; do
    echo "deb $mirror $suite main"
done >/etc/apt/sources.list
echo "APT::Default-Release \"$1\";" >/etc/apt/apt.conf.d/default-release
echo 'COMPRESS=lz4' >/etc/initramfs-tools/conf.d/compress
apt-get -qq update
kernels=$(apt-cache show linux-image-cloud-amd64 | sed -n 's/^Depends: \(linux-image-[^ ]*\).*/\1/p')
apt-get -qq -y install --no-install-recommends lz4 $kernels
apt-get clean
rm -rf /var/lib/apt/lists/*

useradd --uid 1000 --create-home --shell /bin/bash evaluator
echo evaluator:100000:65536 | tee /etc/subuid >/etc/subgid
mkdir -p /var/lib/systemd/linger
touch /var/lib/systemd/linger/evaluator

python3 -m venv --without-pip /srv/venv
site=$(echo /srv/venv/lib/python3.*/site-packages)
echo /srv/reseval/site >"$site/payload.pth"

echo reseval-guest >/etc/hostname
echo '127.0.0.1 localhost reseval-guest' >/etc/hosts
: >/etc/fstab
systemctl enable docker.service podman.socket
systemctl --global enable podman.socket
systemctl mask getty@tty1.service serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer \
    dpkg-db-backup.timer fstrim.timer e2scrub_all.timer

cat >/etc/systemd/system/reseval-tests.service <<'UNIT'
[Unit]
Description=Tests of pytest-reseval
Wants=docker.service podman.socket user@1000.service
After=docker.service podman.socket user@1000.service
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate

[Service]
Type=exec
TimeoutStartSec=infinity
OOMPolicy=continue
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
WorkingDirectory=/srv
ExecStartPre=mkdir -p /srv/reseval
ExecStartPre=tar --extract --no-same-owner --directory=/srv/reseval --file=/dev/disk/by-id/virtio-payload
ExecStart=env --chdir=/srv/reseval/repository /srv/venv/bin/python -m tests.virtual_machine.guest /dev/disk/by-id/virtio-results

[Install]
WantedBy=multi-user.target
UNIT
systemctl enable reseval-tests.service
