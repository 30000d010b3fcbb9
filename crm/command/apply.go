package command

import (
	"fmt"

	"systole/crm/cib"
	"systole/crm/exit"
)

// Apply makes one entry's change. A refused entry, and one that changes
// nothing, gives back c itself. An entry that runs into a mistake of this
// program is refused with [exit.Software] on every node alike: as a panic it
// would stop all of them, and again on each start.
func Apply(c *cib.CIB, e Entry) (next *cib.CIB, reply Reply) {
	defer func() {
		if mistake := recover(); mistake != nil {
			next, reply = c, Reply{Code: exit.Software, Msg: fmt.Sprintf("entry of kind %q: %v", e.Kind, mistake), Version: c.Version()}
		}
	}()
	next, duplicates, err := apply(c, e)
	if err != nil {
		return c, Reply{Code: exit.Of(err), Msg: err.Error(), Version: c.Version()}
	}
	return next, Reply{Version: next.Version(), Changed: next != c, Duplicates: duplicates}
}

func apply(c *cib.CIB, e Entry) (next *cib.CIB, duplicates int, err error) {
	status := c.Status()
	if status == nil {
		status = cib.New("status")
	}
	before := status
	switch {
	case e.Kind == KindCIB && e.Change != nil:
		next, err = e.change(c)
		return next, 0, err
	case e.Kind == KindResult:
		status, duplicates, err = e.results(c, status)
	case e.Kind == KindNode && e.Node != nil:
		status, err = e.Node.apply(c, status)
	case e.Kind == KindAttrs && e.Attrs != nil:
		status, err = e.Attrs.apply(c, status)
	case e.Kind == KindCleanup && e.Cleanup != nil:
		status = e.Cleanup.apply(status)
	case e.Ignorable:
	default:
		err = exit.Errorf(exit.DataErr, "entry of kind %q without its content", e.Kind)
	}
	if err != nil || status == before || cib.Equal(status, before) {
		return c, duplicates, err
	}
	return c.WithStatus(status), duplicates, nil
}

// change does the operations of a cib entry.
func (e Entry) change(c *cib.CIB) (*cib.CIB, error) {
	ops := make([]cib.Op, len(e.Change.Ops))
	for i, op := range e.Change.Ops {
		ops[i] = cib.Op{Kind: op.Kind, Section: op.Section, XPath: op.XPath, AllowCreate: op.AllowCreate}
		if op.Data == "" {
			continue
		}
		data, err := cib.Parse([]byte(op.Data))
		if err != nil {
			return c, exit.With(exit.DataErr, fmt.Errorf("operation %d: %w", i+1, err))
		}
		ops[i].Data = data
	}
	return c.Apply(ops, e.Change.Expected, cib.Stamp{Time: e.Time, User: cib.Clean(e.User), Client: cib.Clean(e.Client), Origin: cib.Clean(e.Origin)})
}
