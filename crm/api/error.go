package api

import (
	"errors"
	"net/http"
)

// The exit statuses the API answers with (the field's table; contracts of the
// tools in crm/exit).
const (
	CodeError        = 1
	CodePrivilege    = 4
	CodeUsage        = 64
	CodeUnavailable  = 69
	CodeSoftware     = 70
	CodeTemporary    = 75
	CodeProtocol     = 76
	CodeConfig       = 78
	CodeNotConnected = 102
	CodeOld          = 103
	CodeNoSuch       = 105
	CodeQuorum       = 106
	CodeUnsafe       = 107
	CodeExists       = 108
	CodeNoDC         = 114
	CodeTimeout      = 124
)

// Error is every refusal of the API: one sentence for people and the exit
// status a tool ends with.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// ExitCode is the exit status of an error: that of an Error in its chain, else 1; 0 for nil.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeError
}

// httpStatus is the HTTP status an exit status travels with; the body says which it was.
func httpStatus(code int) int {
	switch code {
	case 0:
		return http.StatusOK
	case CodePrivilege:
		return http.StatusForbidden
	case CodeUsage, CodeConfig:
		return http.StatusBadRequest
	case CodeNoSuch:
		return http.StatusNotFound
	case CodeOld, CodeExists, CodeUnsafe:
		return http.StatusConflict
	case CodeUnavailable, CodeTemporary, CodeQuorum, CodeNoDC:
		return http.StatusServiceUnavailable
	case CodeTimeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
