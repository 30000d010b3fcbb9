// Package lvsloop holds no code, only the proof that real daemons close the
// loop around a real server: a node is drained before its services stop and used
// again when they run, and the doctor reaches every node. There is no director in
// it; what one would read is read from crm lvs feed.
package lvsloop
