package ipvs

import "time"

// warmth tells when a standby knows the connections there are. The kernel's
// master sends no table to a newcomer, only what moves; so the table is taken for complete
// when it stopped growing, at the latest when the bound has passed.
type warmth struct {
	bound time.Duration
	began time.Time // zero: cold and not waiting
	grown time.Time // when it last grew by more than a little
	count int       // then
	warm  bool
}

// warmSteady is how long the table must not have grown: connections that carry
// anything send more than the 50 packets of sync_threshold in this time.
const warmSteady = 5 * time.Second

// observe takes the number of synchronised connections.
func (w *warmth) observe(count int, now time.Time) bool {
	if w.began.IsZero() {
		w.began, w.grown, w.count = now, now, count
	}
	if count > w.count+w.count/20 {
		w.grown, w.count = now, count
	}
	steady := count > 0 && now.Sub(w.grown) >= min(warmSteady, w.bound)
	w.warm = w.warm || steady || now.Sub(w.began) >= w.bound
	return w.warm
}

// reset: the backup daemon did not run for a while.
func (w *warmth) reset() { *w = warmth{bound: w.bound} }
