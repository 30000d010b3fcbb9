// Package lamp proves the site of conf/examples/ha-lamp on real kernels: six machines
// with Debian's nginx, php-fpm, WordPress, MariaDB, NFS and DRBD, prepared by the
// steps of the example's README and configured by its files as they stand, while an
// editor writes and everything dies once (integration/lab/story). What only the lab
// needs is in site.go.
package lamp
