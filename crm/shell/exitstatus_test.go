package shell_test

import (
	"errors"
	"os/exec"
	"strconv"
)

// exitStatus is the status in the error of a program that was run.
func exitStatus(err error) string {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return strconv.Itoa(e.ExitCode())
	}
	return err.Error()
}
