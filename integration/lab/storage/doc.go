// Package storage holds no code, only the lab's suite for storage: file systems, the
// NFS server and its clients, and DRBD, on kernels of their own.
package storage
