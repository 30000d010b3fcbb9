// Package controller is the DC's mind as a pure state machine: events in,
// effects out. It decides when to plan, walks the transition, asks for fencing,
// and writes down in the CIB what the detector of lost nodes found out.
//
// [Controller.Step] is the whole interface: the driver (crm/node) feeds it one
// event at a time, performs the effects it returns in their order, and calls it
// again with [Tick] when [Controller.Wake] says so. Nothing here reads a clock,
// starts a goroutine, logs or sends. The value belongs to one goroutine.
//
// Invariants:
//   - Nothing is ordered, fenced or proposed unless this node holds the DC's office.
//   - Nothing is planned in a new term before every node that may act has
//     acknowledged the term or is lost, and the CIB says so (crm/lease/DESIGN.md).
//   - A start, promotion or migration is on record in the CIB as pending before
//     it is ordered, so that a later DC knows where it may be running.
//   - An action sent to a node that is then lost has failed with an unknown
//     outcome; it is never taken for a clean stop.
//
// DESIGN.md has the states, the table of failures and the reasons.
package controller
