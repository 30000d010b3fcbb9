// Package store replicates the CIB with hashicorp/raft, and says when this node is
// the DC and may order.
//
// A [Store] owns one raft server, its log and its snapshots. What it applies are
// entries of crm/command; what it gives out is an immutable [Snapshot]. Raft talks
// through the gate (gate.go), which keeps the promises of crm/lease: raft's own
// timers, its State and its VerifyLeader carry no authority here. [Store.DC] does.
//
// Goroutines: those of raft, and what [Store.Run] starts and ends. All methods are
// safe for concurrent use. The package reads the clock handed in for leases and the
// time package for everything else, so whole clusters run in virtual time.
//
// DESIGN.md beside this file says what fails how, and why the rules hold.
package store
