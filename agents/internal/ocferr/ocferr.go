// Package ocferr carries an OCF code along an error: agents return errors from
// their parts, and one place makes a result of them.
package ocferr

import (
	"context"
	"errors"
	"fmt"

	"systole/resources"
)

// Error is an error with the OCF code it means.
type Error struct {
	Code resources.Code
	error
}

// Unwrap is the cause.
func (e Error) Unwrap() error { return e.error }

// With gives an error a code.
func With(code resources.Code, err error) error { return Error{code, err} }

// Errorf is fmt.Errorf with a code.
func Errorf(code resources.Code, format string, args ...any) error {
	return Error{code, fmt.Errorf(format, args...)}
}

// Is tells whether the error has the code.
func Is(err error, code resources.Code) bool {
	e, ok := errors.AsType[Error](err)
	return ok && e.Code == code
}

// Result is what an operation came to: success without an error, the error's
// code, ErrGeneric for one without a code.
func Result(ctx context.Context, err error) resources.Result {
	if err == nil {
		return resources.Result{}
	}
	res := resources.Result{Code: resources.ErrGeneric, Reason: err.Error()}
	if e, ok := errors.AsType[Error](err); ok {
		res.Code = e.Code
	}
	if ctx.Err() != nil {
		res.Status = resources.StatusTimeout
	}
	return res
}

// Absent answers for a service that is not installed, or whose files are not
// here (storage not mounted): then it does not run on this node, stopping it
// succeeds and a probe finds nothing. Any other error is [Result]'s.
func Absent(op resources.Op, err error) resources.Result {
	if Is(err, resources.ErrInstalled) {
		if op.Action == resources.ActionStop {
			return resources.Result{Reason: err.Error()}
		}
		if op.IsProbe() {
			return resources.Result{Code: resources.NotRunning, Reason: err.Error()}
		}
	}
	return Result(context.Background(), err)
}
