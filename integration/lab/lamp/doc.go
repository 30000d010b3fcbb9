// Package lamp proves the site of conf/examples/ha-lamp on real kernels: six machines
// with Debian's nginx, php-fpm, WordPress, MariaDB, NFS and DRBD, an editor who writes
// through the virtual address and nowhere else, and every machine and program dying
// while it writes. After each fault all that was acknowledged must be readable there.
//
// The files of the example are used as they stand; what only the lab needs is in site.go.
package lamp
