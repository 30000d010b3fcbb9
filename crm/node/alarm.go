package node

import (
	"sync"
	"time"
)

// Alarm rings once, when the time it was set to has come; then it must be set
// again. The daemon's (cmd/systoled) is the kernel's, which rings without waking
// the Go scheduler's supervisor as well.
type Alarm interface {
	// Set has it ring after d, instead of when it was to ring before.
	Set(d time.Duration)
	// Run calls ring each time, until Close.
	Run(ring func())
	Close() error
}

// timerAlarm is an Alarm in the time of package time.
type timerAlarm struct {
	*time.Timer
	once   sync.Once
	closed chan struct{}
}

func newTimerAlarm() *timerAlarm {
	a := &timerAlarm{Timer: time.NewTimer(time.Hour), closed: make(chan struct{})}
	a.Stop()
	return a
}

func (a *timerAlarm) Set(d time.Duration) { a.Reset(d) }

func (a *timerAlarm) Run(ring func()) {
	for {
		select {
		case <-a.C:
			ring()
		case <-a.closed:
			return
		}
	}
}

func (a *timerAlarm) Close() error {
	a.once.Do(func() { a.Stop(); close(a.closed) })
	return nil
}
