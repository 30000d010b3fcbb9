package cibtools

import (
	"context"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/tool"
)

// CrmError is crm_error: names and texts of statuses.
func CrmError(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmError.tool()(ctx, stdio, args)
}

var crmError = program{
	name:  "crm_error",
	about: "print what a status means",
	notes: "\nExample:\n  crm_error --exit 105\n",
	xml:   true,
	flags: func(fs *pflag.FlagSet) func(*run, []string) error {
		names := fs.BoolP("name", "n", false, "print the symbolic name too")
		list := fs.BoolP("list", "l", false, "print all that are known")
		statuses := fs.BoolP("exit", "X", false, "the numbers are exit statuses, not errors of the system")
		fs.BoolP("rc", "r", false, "the numbers are return codes: errors of the system below 1000")
		return func(r *run, args []string) error {
			explain := errno
			if *statuses {
				explain = exitStatus
			}
			if *list || len(args) == 0 {
				for n := range 256 {
					name, text := explain(n)
					if name != "" {
						r.explain(n, name, text, *names, true)
					}
				}
				return nil
			}
			for _, arg := range args {
				n, err := strconv.Atoi(arg)
				if err != nil {
					n = -1 << 20
				}
				if n < 0 && !*statuses {
					n = -n
				}
				name, text := explain(n)
				r.explain(n, name, text, *names, false)
			}
			return nil
		}
	},
}

func (r *run) explain(n int, name, text string, names, listed bool) {
	switch {
	case r.xml:
		e := cib.New("result-code", "code", strconv.Itoa(n))
		if names {
			e = e.With("name", name)
		}
		r.content = append(r.content, e.With("description", text))
	case listed && names:
		r.Printf("%5d: %-26s  %s\n", n, name, text)
	case listed:
		r.Printf("%5d: %s\n", n, text)
	case names:
		r.Printf("%s - %s\n", name, text)
	default:
		r.Println(text)
	}
}

// exitStatus is the name and text of an exit status, "" for one not in the
// table. Above 128 a program was ended by a signal.
func exitStatus(n int) (name, text string) {
	c := exit.Code(n)
	if c.Name() == exit.Code(-1).Name() {
		if n > 128 && n < 256 {
			return "", "Interrupted by signal"
		}
		return "", c.String()
	}
	return c.Name(), c.String()
}

// errno is the name and text of an error of the system.
func errno(n int) (name, text string) {
	if n == 0 {
		return "pcmk_rc_ok", "OK"
	}
	name = unix.ErrnoName(syscall.Errno(n))
	if name == "" {
		return "", "Unknown error " + strconv.Itoa(n)
	}
	text = syscall.Errno(n).Error()
	return name, strings.ToUpper(text[:1]) + text[1:]
}
