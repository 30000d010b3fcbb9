package tools

import (
	"errors"
	"strings"

	"systole/crm/cib"
	"systole/crm/display"
	"systole/crm/exit"
)

// report collects the elements of a tool's XML output.
type report struct {
	request string
	content []*cib.Element
}

func (r *report) add(e *cib.Element) { r.content = append(r.content, e) }

// print writes the document, with how the tool ended, and gives the exit status.
func (r *report) print(p *program, err error) int {
	code := exit.Of(err)
	o := display.Outcome{Code: int(code), Message: code.String()}
	if _, quiet := errors.AsType[silent](err); err != nil && !quiet {
		o.Errors = strings.Split(err.Error(), "\n")
	}
	p.Printf("%s\n", display.Result(r.request, o, r.content...))
	return int(code)
}
