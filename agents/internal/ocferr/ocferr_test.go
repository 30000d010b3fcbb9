package ocferr

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"systole/resources"
)

func TestResult(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want resources.Result
	}{
		{t.Context(), nil, resources.Result{}},
		{t.Context(), errors.New("x"), resources.Result{Code: resources.ErrGeneric, Reason: "x"}},
		{t.Context(), fmt.Errorf("on a: %w", Errorf(resources.NotRunning, "x")), resources.Result{Code: resources.NotRunning, Reason: "on a: x"}},
		{ended, errors.New("x"), resources.Result{Code: resources.ErrGeneric, Status: resources.StatusTimeout, Reason: "x"}},
	} {
		if got := Result(c.ctx, c.err); got.Code != c.want.Code || got.Status != c.want.Status || got.Reason != c.want.Reason {
			t.Errorf("result of %v is %+v, want %+v", c.err, got, c.want)
		}
	}
}

func TestAbsent(t *testing.T) {
	missing := Errorf(resources.ErrInstalled, "no program")
	for _, c := range []struct {
		op   resources.Op
		err  error
		want resources.Code
	}{
		{resources.Op{Action: resources.ActionStop}, missing, resources.OK},
		{resources.Op{Action: resources.ActionMonitor}, missing, resources.NotRunning},
		{resources.Op{Action: resources.ActionMonitor, Interval: time.Second}, missing, resources.ErrInstalled},
		{resources.Op{Action: resources.ActionStart}, missing, resources.ErrInstalled},
		{resources.Op{Action: resources.ActionStop}, With(resources.ErrConfigured, errors.New("x")), resources.ErrConfigured},
	} {
		if got := Absent(c.op, c.err); got.Code != c.want {
			t.Errorf("%s with %v is %d, want %d", c.op.Action, c.err, got.Code, c.want)
		}
	}
}
