// Package exit is the one table of exit statuses that the command line tools
// end with, and the way an error carries one.
//
// Numbers, symbolic names and texts are the ones users of Heartbeat and
// Pacemaker tools script against (crm_error -X -l), so they are fixed. They are
// not OCF codes: what an agent returns is resources.Code.
package exit

import (
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Code is an exit status of a program, 0 to 255.
type Code int

// The statuses. 2 to 9, 190, 191 and 193 repeat the OCF meanings, for tools
// that end with an agent's own answer (crm_resource --force-check).
const (
	OK               Code = 0
	Error            Code = 1
	InvalidParam     Code = 2
	Unimplemented    Code = 3
	InsufficientPriv Code = 4
	NotInstalled     Code = 5
	NotConfigured    Code = 6
	NotRunning       Code = 7
	Promoted         Code = 8
	FailedPromoted   Code = 9
	Usage            Code = 64
	DataErr          Code = 65
	NoInput          Code = 66
	NoUser           Code = 67
	NoHost           Code = 68
	Unavailable      Code = 69
	Software         Code = 70
	OSErr            Code = 71
	OSFile           Code = 72
	CantCreate       Code = 73
	IOErr            Code = 74
	TempFail         Code = 75
	Protocol         Code = 76
	NoPerm           Code = 77
	Config           Code = 78
	Fatal            Code = 100
	Panic            Code = 101
	Disconnect       Code = 102
	Old              Code = 103
	Digest           Code = 104
	NoSuch           Code = 105
	Quorum           Code = 106
	Unsafe           Code = 107
	Exists           Code = 108
	Multiple         Code = 109
	Expired          Code = 110
	NotYetInEffect   Code = 111
	Indeterminate    Code = 112
	Unsatisfied      Code = 113
	NoDC             Code = 114
	Timeout          Code = 124
	Degraded         Code = 190
	DegradedPromoted Code = 191
	None             Code = 193
)

// entry is one row of the table.
type entry struct {
	code Code
	name string
	text string
}

// table holds every status, ascending by code. The texts are compared by
// scripts and regression suites: changing one breaks them.
var table = []entry{
	{OK, "CRM_EX_OK", "OK"},
	{Error, "CRM_EX_ERROR", "Error occurred"},
	{InvalidParam, "CRM_EX_INVALID_PARAM", "Invalid parameter"},
	{Unimplemented, "CRM_EX_UNIMPLEMENT_FEATURE", "Unimplemented"},
	{InsufficientPriv, "CRM_EX_INSUFFICIENT_PRIV", "Insufficient privileges"},
	{NotInstalled, "CRM_EX_NOT_INSTALLED", "Not installed"},
	{NotConfigured, "CRM_EX_NOT_CONFIGURED", "Not configured"},
	{NotRunning, "CRM_EX_NOT_RUNNING", "Not running"},
	{Promoted, "CRM_EX_PROMOTED", "Promoted"},
	{FailedPromoted, "CRM_EX_FAILED_PROMOTED", "Failed in promoted role"},
	{Usage, "CRM_EX_USAGE", "Incorrect usage"},
	{DataErr, "CRM_EX_DATAERR", "Invalid data given"},
	{NoInput, "CRM_EX_NOINPUT", "Input file not available"},
	{NoUser, "CRM_EX_NOUSER", "User does not exist"},
	{NoHost, "CRM_EX_NOHOST", "Host does not exist"},
	{Unavailable, "CRM_EX_UNAVAILABLE", "Necessary service unavailable"},
	{Software, "CRM_EX_SOFTWARE", "Internal software bug"},
	{OSErr, "CRM_EX_OSERR", "Operating system error occurred"},
	{OSFile, "CRM_EX_OSFILE", "System file not available"},
	{CantCreate, "CRM_EX_CANTCREAT", "Cannot create output file"},
	{IOErr, "CRM_EX_IOERR", "I/O error occurred"},
	{TempFail, "CRM_EX_TEMPFAIL", "Temporary failure, try again"},
	{Protocol, "CRM_EX_PROTOCOL", "Protocol violated"},
	{NoPerm, "CRM_EX_NOPERM", "Insufficient privileges"},
	{Config, "CRM_EX_CONFIG", "Invalid configuration"},
	{Fatal, "CRM_EX_FATAL", "Fatal error occurred, will not respawn"},
	{Panic, "CRM_EX_PANIC", "System panic required"},
	{Disconnect, "CRM_EX_DISCONNECT", "Not connected"},
	{Old, "CRM_EX_OLD", "Update was older than existing configuration"},
	{Digest, "CRM_EX_DIGEST", "Digest mismatch"},
	{NoSuch, "CRM_EX_NOSUCH", "No such object"},
	{Quorum, "CRM_EX_QUORUM", "Quorum required"},
	{Unsafe, "CRM_EX_UNSAFE", "Operation not safe"},
	{Exists, "CRM_EX_EXISTS", "Requested item already exists"},
	{Multiple, "CRM_EX_MULTIPLE", "Multiple items match request"},
	{Expired, "CRM_EX_EXPIRED", "Requested item has expired"},
	{NotYetInEffect, "CRM_EX_NOT_YET_IN_EFFECT", "Requested item is not yet in effect"},
	{Indeterminate, "CRM_EX_INDETERMINATE", "Could not determine status"},
	{Unsatisfied, "CRM_EX_UNSATISFIED", "Not applicable under current conditions"},
	{NoDC, "CRM_EX_NO_DC", "DC is not yet elected"},
	{Timeout, "CRM_EX_TIMEOUT", "Timeout occurred"},
	{Degraded, "CRM_EX_DEGRADED", "Service is active but might fail soon"},
	{DegradedPromoted, "CRM_EX_DEGRADED_PROMOTED", "Service is promoted but might fail soon"},
	{None, "CRM_EX_NONE", "No exit status available"},
}

func row(c Code) (entry, bool) {
	i, ok := slices.BinarySearchFunc(table, c, func(e entry, c Code) int { return int(e.code - c) })
	if !ok {
		return entry{}, false
	}
	return table[i], true
}

// String is the text users see, as printed by crm_error -X. An unknown code
// reads "Unknown exit status".
func (c Code) String() string {
	if e, ok := row(c); ok {
		return e.text
	}
	return "Unknown exit status"
}

// Name is the symbolic name, as printed by crm_error -X -n ("CRM_EX_NOSUCH").
func (c Code) Name() string {
	if e, ok := row(c); ok {
		return e.name
	}
	return "CRM_EX_UNKNOWN"
}

// Codes yields every known status in ascending order.
func Codes() iter.Seq[Code] {
	return func(yield func(Code) bool) {
		for _, e := range table {
			if !yield(e.code) {
				return
			}
		}
	}
}

// Failure is an error that knows which status the program should end with.
type Failure struct {
	Code Code
	Err  error
}

// Error is the wrapped error's text, or the status text without one.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Code.String()
	}
	return f.Err.Error()
}

// Unwrap gives the wrapped error.
func (f *Failure) Unwrap() error { return f.Err }

// Errorf makes a [Failure]; the format may use %w.
func Errorf(c Code, format string, args ...any) error {
	return &Failure{Code: c, Err: fmt.Errorf(format, args...)}
}

// With gives err a status; nil stays nil.
func With(c Code, err error) error {
	if err == nil {
		return nil
	}
	return &Failure{Code: c, Err: err}
}

// Of is the status to end with for err: OK for nil, the code of the outermost
// [Failure] inside err, else Error.
func Of(err error) Code {
	if err == nil {
		return OK
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Code
	}
	return Error
}
