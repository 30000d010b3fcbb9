package tools

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/change"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
	"systole/crm/status"
)

// CrmTicket is crm_ticket: tickets that allow a site to run resources.
func CrmTicket(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmTicket.tool()(ctx, stdio, args)
}

// ticketCall is a parsed call of crm_ticket.
type ticketCall struct {
	ticket, value, fallback string
	hasFallback, force      bool
	quiet                   bool
}

var crmTicket = command{
	name:  "crm_ticket",
	about: "tickets that allow a site to run resources",
	flags: func(fs *pflag.FlagSet) func(*program, []string) error {
		a := &ticketCall{}
		var chosen, param string
		act := func(name, short, usage string) {
			fs.BoolFuncP(name, short, usage, func(string) error { chosen = name; return nil })
		}
		with := func(name, short, usage string) {
			fs.FuncP(name, short, usage, func(v string) error { chosen, param = name, v; return nil })
		}
		act("info", "l", "list tickets")
		act("details", "L", "list tickets with all their attributes")
		act("raw", "w", "list the ids of tickets")
		act("query-xml", "q", "print the ticket's XML")
		act("constraints", "c", "print constraints about tickets")
		act("grant", "g", "give the ticket to this site, with --force")
		act("revoke", "r", "take the ticket away, with --force")
		act("standby", "s", "let resources that need the ticket stop in order")
		act("activate", "a", "end standby")
		act("cleanup", "C", "forget the ticket")
		with("get-attr", "G", "print an attribute")
		with("set-attr", "S", "set an attribute, with -v")
		with("delete-attr", "D", "delete an attribute")
		fs.StringVarP(&a.ticket, "ticket", "t", "", "the ticket")
		fs.StringVarP(&a.value, "attr-value", "v", "", "the value")
		fs.StringVarP(&a.fallback, "default", "d", "", "value to print when there is none")
		fs.BoolVarP(&a.force, "force", "f", false, "do it all the same")
		fs.BoolVarP(&a.quiet, "quiet", "Q", false, "")
		fs.StringP("nvpair", "i", "", "")
		fs.StringP("set-name", "n", "", "")
		for _, h := range []string{"quiet", "nvpair", "set-name"} {
			fs.Lookup(h).Hidden = true
		}
		return func(p *program, _ []string) error {
			a.hasFallback = fs.Changed("default")
			return a.run(p, chosen, param)
		}
	},
}

func (a *ticketCall) run(p *program, command, param string) error {
	switch command {
	case "", "info", "details", "raw":
		return a.list(p, command)
	case "query-xml":
		return a.queryXML(p)
	case "constraints":
		return a.constraints(p)
	}
	if a.ticket == "" {
		return exit.Errorf(exit.Usage, "Must supply ticket ID with -t")
	}
	switch command {
	case "get-attr":
		return a.get(p, param)
	case "grant", "revoke":
		if !a.force {
			return a.refuse(p, command)
		}
		value := strconv.FormatBool(command == "grant")
		return a.set(p, map[string]string{"granted": value})
	case "standby", "activate":
		return a.set(p, map[string]string{"standby": strconv.FormatBool(command == "standby")})
	case "set-attr":
		if param == "granted" && !a.force {
			return a.refuse(p, map[bool]string{true: "grant", false: "revoke"}[status.True(a.value)])
		}
		if a.value == "" {
			return exit.Errorf(exit.Usage, "Must supply attribute value with -v")
		}
		return a.set(p, map[string]string{param: a.value})
	case "delete-attr":
		if param == "granted" && !a.force {
			return a.refuse(p, "revoke")
		}
		return a.edit(p, func(t *cib.Element) *cib.Element { return t.Without(param) })
	}
	return a.cleanup(p)
}

// refuse explains why a ticket is not granted or revoked just so.
func (a *ticketCall) refuse(p *program, command string) error {
	if command == "grant" {
		p.Printf("This command cannot help you verify whether '%s' has been already granted elsewhere.\nIf you really want to grant '%s' to this site now, and you know what you are doing,\nplease specify --force.\n", a.ticket, a.ticket)
	} else {
		p.Printf("Revoking '%s' can trigger the specified 'loss-policy'(s) relating to '%s'.\n\nYou can check that with:\ncrm_ticket --ticket %s --constraints\n\nOtherwise before revoking '%s', you may want to make '%s'standby with:\ncrm_ticket --ticket %s --standby\n\nIf you really want to revoke '%s' from this site now, and you know what you are doing,\nplease specify --force.\n", a.ticket, a.ticket, a.ticket, a.ticket, a.ticket, a.ticket, a.ticket)
	}
	return exit.Errorf(exit.InsufficientPriv, "Ticket modification not allowed")
}

func (a *ticketCall) list(p *program, how string) error {
	_, s, err := p.state()
	if err != nil {
		return err
	}
	seen := false
	for _, t := range s.Tickets {
		if a.ticket != "" && t.ID != a.ticket {
			continue
		}
		seen = true
		switch {
		case how == "raw":
			p.Println(t.ID)
		default:
			p.ticketLine(t, how == "details")
		}
	}
	if a.ticket != "" && !seen {
		return exit.Errorf(exit.NoSuch, "No such ticket '%s'", a.ticket)
	}
	return nil
}

func (p *program) ticketLine(t status.Ticket, details bool) {
	state := "revoked  "
	if t.Granted {
		state = "granted  "
	}
	standby := "          "
	if t.Standby {
		standby = "[standby] "
	}
	var granted string
	if at, ok := epoch(t.LastGranted); ok {
		granted = "last-granted='" + at.Format(time.ANSIC) + "'"
	}
	if details {
		parts := []string{"granted=" + strconv.FormatBool(t.Granted), "standby=" + strconv.FormatBool(t.Standby)}
		if granted != "" {
			parts = append(parts, granted)
		}
		p.Printf("%s\t%s%s(%s)\n", t.ID, strings.TrimRight(state, " ")+" ", strings.TrimLeft(standby, " "), strings.Join(parts, ", "))
		return
	}
	p.Printf("%s\t%s%s%s\n", t.ID, strings.TrimRight(state, " ")+" ", standby, granted)
}

// stateOf finds the ticket's entry in the status section.
func stateOf(root *cib.Element, ticket string) *cib.Element {
	for t := range root.Path("status", "tickets").Each("ticket_state") {
		if t.ID() == ticket {
			return t
		}
	}
	return nil
}

func (a *ticketCall) queryXML(p *program) error {
	c, _, err := p.state()
	if err != nil {
		return err
	}
	t := stateOf(c.Root(), a.ticket)
	if t == nil {
		return exit.Errorf(exit.NoSuch, "Could not show ticket XML: No such device or address")
	}
	p.Printf("State XML:\n\n%s\n", t)
	return nil
}

func (a *ticketCall) constraints(p *program) error {
	c, _, err := p.state()
	if err != nil {
		return err
	}
	found := false
	for e := range c.Configuration().Child("constraints").Each("rsc_ticket") {
		if a.ticket == "" || e.Get("ticket") == a.ticket {
			if !found {
				p.Printf("Constraints XML:\n\n")
			}
			found = true
			p.Println(e)
		}
	}
	if !found {
		return exit.Errorf(exit.NoSuch, "Could not show ticket constraints: No such device or address")
	}
	return nil
}

func (a *ticketCall) get(p *program, name string) error {
	c, _, err := p.state()
	if err != nil {
		return err
	}
	t := stateOf(c.Root(), a.ticket)
	value, ok := "", false
	if t != nil {
		value, ok = t.Lookup(name)
	}
	switch {
	case ok:
	case a.hasFallback:
		value = a.fallback
	default:
		return ended(exit.NoSuch)
	}
	p.Println(value)
	return nil
}

// set changes attributes of the ticket; a grant is dated.
func (a *ticketCall) set(p *program, values map[string]string) error {
	return a.edit(p, func(t *cib.Element) *cib.Element {
		for k, v := range values {
			t = t.With(k, v)
			if k == "granted" && status.True(v) {
				t = t.With("last-granted", fmt.Sprint(p.now.Unix()))
			}
		}
		return t
	})
}

// edit changes the ticket's entry, made if missing.
func (a *ticketCall) edit(p *program, f func(t *cib.Element) *cib.Element) error {
	_, _, err := p.src.Update(p.ctx, source.Change{Client: "crm_ticket"}, func(root *cib.Element) (*cib.Element, error) {
		root, tickets := change.Tickets(root)
		t := stateOf(root, a.ticket)
		if t == nil {
			return change.With(root, tickets, tickets.Append(f(cib.New("ticket_state", "id", a.ticket)))), nil
		}
		return change.With(root, t, f(t)), nil
	})
	return err
}

func (a *ticketCall) cleanup(p *program) error {
	if !a.force {
		c, _, err := p.state()
		if err != nil {
			return err
		}
		if t := stateOf(c.Root(), a.ticket); t != nil && status.True(t.Get("granted")) {
			return a.refuse(p, "revoke")
		}
	}
	_, _, err := p.src.Write(p.ctx, source.Change{Client: "crm_ticket", Ops: []cib.Op{{Kind: cib.OpDelete, Section: "status", Data: cib.New("ticket_state", "id", a.ticket)}}})
	return err
}
