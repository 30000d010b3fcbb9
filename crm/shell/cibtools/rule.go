package cibtools

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/isotime"
	"systole/crm/rules"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
)

// CrmRule is crm_rule: whether a rule is in effect at a time.
func CrmRule(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmRule.tool()(ctx, stdio, args)
}

var crmRule = program{
	name:  "crm_rule",
	about: "tell whether a rule is in effect",
	notes: "\nExample:\n  crm_rule --check --rule nightly --date '2024-01-31 23:00:00'\n",
	xml:   true,
	flags: func(fs *pflag.FlagSet) func(*run, []string) error {
		var d document
		check := fs.BoolP("check", "c", false, "tell whether the rules are in effect")
		fs.StringVarP(&d.text, "xml-text", "X", "", "the CIB, - for standard input")
		date := fs.StringP("date", "d", "", "the time to ask about, by default now")
		ids := fs.StringArrayP("rule", "r", nil, "id of a rule; may be given more than once")
		return func(r *run, _ []string) error {
			switch {
			case !*check:
				return exit.Errorf(exit.Usage, "No mode operation given")
			case len(*ids) == 0:
				return exit.Errorf(exit.Usage, "--check requires use of --rule=")
			}
			now := time.Now()
			if fs.Changed("date") {
				at, err := isotime.Parse(*date, now)
				if err != nil {
					return exit.Errorf(exit.DataErr, "Invalid date specified: '%s': %w", *date, err)
				}
				now = at
			}
			d.hasText, d.pipe = fs.Changed("xml-text") && d.text != "-", d.text == "-"
			root, err := ruleSource(r, d)
			if err != nil {
				return err
			}
			return r.checkRules(root, *ids, now)
		}
	},
}

func ruleSource(r *run, d document) (*cib.Element, error) {
	if !d.given() {
		c, err := source.Open(r.Getenv).Read(r.ctx)
		if err != nil {
			return nil, err
		}
		return c.Root(), nil
	}
	root, err := d.parse(r)
	if err != nil {
		return nil, exit.Errorf(exit.DataErr, "Couldn't parse input: %w", err)
	}
	return root, nil
}

// checkRules answers for each rule; the status is that of the last.
func (r *run) checkRules(root *cib.Element, ids []string, now time.Time) error {
	var last exit.Code
	var failures []error
	for _, id := range ids {
		text, code, err := checkRule(root, id, now)
		last = code
		if err != nil {
			failures = append(failures, known(fmt.Sprintf("Could not determine whether rule %s is in effect: %v", id, err)))
		}
		if r.xml {
			r.content = append(r.content, cib.New("rule-check", "rule-id", id, "rc", strconv.Itoa(int(code))))
		} else if err == nil {
			r.Println(text)
		}
	}
	if len(failures) > 0 {
		return plain(last, "%s", errors.Join(failures...))
	}
	return ended(last)
}

// checkRule looks at the one date expression of a rule, as the tool does: other
// expressions need a node or a resource, and a date_spec without years neither begins nor ends.
func checkRule(root *cib.Element, id string, now time.Time) (text string, code exit.Code, err error) {
	var rule *cib.Element
	for e := range cib.All(root.Child("configuration")) {
		if e.Name() == "rule" && e.ID() == id {
			rule = e
			break
		}
	}
	if rule == nil {
		return "", exit.NoSuch, known("Rule not found")
	}
	var dates []*cib.Element
	for e := range cib.All(rule) {
		if e.Name() == "date_expression" {
			dates = append(dates, e)
		}
	}
	switch {
	case len(dates) == 0:
		return "", exit.Unimplemented, known("Rule does not have a date expression")
	case len(dates) > 1:
		return "", exit.Unimplemented, known("Rule has more than one date expression")
	}
	state := rules.Eval(dates[0], rules.Facts{Now: now}).State
	if spec := dates[0].Child("date_spec"); spec != nil && dates[0].Get("operation") == "date_spec" {
		if spec.Get("years") == "" || spec.Get("moon") != "" {
			return "", exit.Unimplemented, known("Rule must either not use date_spec, or use date_spec with years= but not moon=")
		}
		return specState(id, dates[0], spec, state, now)
	}
	return inState(id, state, "is still in effect")
}

// specState tells a date_spec that is over from one that is to come: by its years.
func specState(id string, date, spec *cib.Element, state rules.State, now time.Time) (string, exit.Code, error) {
	if state != rules.Unsatisfied {
		return inState(id, state, "satisfies conditions")
	}
	// With only its years, and a hundred of them to come, it is satisfied at some time or never again.
	if rules.Eval(date, rules.Facts{Now: now}).Next.IsZero() {
		return inState(id, rules.Expired, "")
	}
	years := cib.New("date_expression", "operation", "date_spec").Append(cib.New("date_spec", "years", spec.Get("years")))
	if rules.Eval(years, rules.Facts{Now: now}).Holds() {
		return fmt.Sprintf("Rule %s does not satisfy conditions", id), exit.Unsatisfied, nil
	}
	return inState(id, rules.NotYet, "")
}

func inState(id string, state rules.State, holds string) (string, exit.Code, error) {
	switch state {
	case rules.InEffect:
		return fmt.Sprintf("Rule %s %s", id, holds), exit.OK, nil
	case rules.Expired:
		return fmt.Sprintf("Rule %s is expired", id), exit.Expired, nil
	case rules.NotYet:
		return fmt.Sprintf("Rule %s has not yet taken effect", id), exit.NotYetInEffect, nil
	}
	return "", exit.Indeterminate, known("Rule cannot be evaluated")
}
