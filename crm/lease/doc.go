// Package lease decides who may order and who may run: the promises of voters,
// the DC's lease, the detector of lost nodes and the lease of each node.
//
// Everything here is a value moved by explicit instants; nothing reads a clock,
// starts a goroutine or locks. An instant is a [time.Duration] on the owner's
// [Clock], whose origin means nothing and is never compared between nodes. A
// value belongs to one caller at a time: crm/store drives [Voter] and [Leader]
// under the lock of its gate, crm/node drives [Detector] and [NodeLease].
//
// DESIGN.md beside this file states the protocol, its invariants and why they hold.
package lease

import "time"

// Clock tells the instant now. It must run whenever this node could act and must
// never be set: CLOCK_BOOTTIME in the daemon, skewed virtual time in the simulation.
type Clock func() time.Duration

// The clock-rate assumption: no clock runs faster than 1+ρ or slower than 1−ρ of
// real time, ρ = 0.1 (chrony slews by at most 8.3 %). Stretch turns a span counted
// on one clock into the span another clock may show at most, (1+ρ)/(1−ρ) = 11/9,
// rounded up.
func Stretch(d time.Duration) time.Duration { return (d*11 + 8) / 9 }
