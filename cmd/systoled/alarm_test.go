package main

import (
	"testing"
	"time"
)

// The alarm rings when it was set to last, once, and not after it is closed.
func TestKernelAlarm(t *testing.T) {
	a, err := newKernelAlarm()
	if err != nil {
		t.Fatal(err)
	}
	rung, ended := make(chan time.Time, 10), make(chan struct{})
	go func() {
		a.Run(func() { rung <- time.Now() })
		close(ended)
	}()
	for range 3 {
		set := time.Now()
		a.Set(time.Hour)
		a.Set(0)
		a.Set(20 * time.Millisecond)
		if at := <-rung; at.Sub(set) < 20*time.Millisecond && len(rung) > 0 {
			t.Errorf("rang after %v, and again", at.Sub(set))
		}
	}
	a.Set(time.Hour)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	<-ended
	a.Set(time.Nanosecond)
}
