package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"systole/crm/cib"
)

var now = time.Date(2026, 11, 20, 8, 30, 15, 500, time.UTC) // a Friday in week 47, day 324

func rule(t testing.TB, text string) *cib.Element {
	t.Helper()
	e, err := cib.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func lookup(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

var facts = Facts{
	Now:   now,
	Attr:  lookup(map[string]string{"#uname": "node1", "site": "East", "load": "5", "ratio": "0.5", "os": "2.6.32", "text": "abc", "empty": ""}),
	Param: lookup(map[string]string{"limit": "5"}),
	Meta:  lookup(map[string]string{"where": "east"}),
	Agent: &Agent{"ocf", "heartbeat", "IPaddr2"},
	Op:    &Op{"monitor", 10 * time.Second},
	Submatches: []string{
		"vip-site", "site",
	},
}

func TestExpressions(t *testing.T) {
	for text, want := range map[string]State{
		`attribute="#uname" operation="eq" value="node1"`:                      InEffect,
		`attribute="#uname" operation="ne" value="node1"`:                      Unsatisfied,
		`attribute="site" operation="eq" value="east"`:                         InEffect, // strings compare without case
		`attribute="Site" operation="defined"`:                                 Unsatisfied,
		`attribute="site" operation="defined"`:                                 InEffect,
		`attribute="empty" operation="defined"`:                                InEffect,
		`attribute="none" operation="not_defined"`:                             InEffect,
		`attribute="none" operation="eq" value="x"`:                            Unsatisfied,
		`attribute="none" operation="ne" value="x"`:                            InEffect,
		`attribute="none" operation="lt" value="1"`:                            Unsatisfied,
		`attribute="load" operation="gt" value="10"`:                           Unsatisfied, // numbers, not strings
		`attribute="load" operation="gt" value="10" type="string"`:             InEffect,
		`attribute="load" operation="gte" value="5"`:                           InEffect,
		`attribute="load" operation="lte" value="5"`:                           InEffect,
		`attribute="load" operation="eq" value="05" type="integer"`:            InEffect,
		`attribute="ratio" operation="lt" value="1"`:                           InEffect,
		`attribute="ratio" operation="eq" value="0.50" type="number"`:          InEffect,
		`attribute="text" operation="lt" value="5" type="integer"`:             Unsatisfied, // as strings: "abc" > "5"
		`attribute="os" operation="gt" value="2.6.9" type="version"`:           InEffect,
		`attribute="os" operation="eq" value="2.6.32.0" type="version"`:        InEffect,
		`attribute="load" operation="eq" value="limit" value-source="param"`:   InEffect,
		`attribute="load" operation="eq" value="nolimit" value-source="param"`: Unsatisfied,
		`attribute="site" operation="eq" value="where" value-source="meta"`:    InEffect,
		`attribute="site" operation="eq" value="East" value-source="literal"`:  InEffect,
		`attribute="%1" operation="eq" value="east"`:                           InEffect,
		`attribute="none" operation="eq" value="nolimit" value-source="param"`: InEffect, // undefined on both sides
		`attribute="site" operation="like" value="x"`:                          Undetermined,
		`attribute="site" operation="eq"`:                                      Undetermined,
		`operation="defined"`:                                                  Undetermined,
		`attribute="site" operation="eq" value="x" type="colour"`:              Undetermined,
		`attribute="site" operation="eq" value="x" value-source="elsewhere"`:   Undetermined,
	} {
		r := rule(t, `<rule id="r"><expression id="e" `+text+`/></rule>`)
		if got := Eval(r, facts); got.State != want || !got.Next.IsZero() {
			t.Errorf("%s: %s, next %v, want %s", text, got.State, got.Next, want)
		}
		if broken := len(Check(r)) > 0; broken != (want == Undetermined) {
			t.Errorf("%s: Check says %v", text, Check(r))
		}
	}
}

func TestResourceAndOperation(t *testing.T) {
	for text, want := range map[string]State{
		`<rsc_expression id="e" class="ocf" type="IPaddr2"/>`:       InEffect,
		`<rsc_expression id="e" class="ocf" provider="other"/>`:     Unsatisfied,
		`<rsc_expression id="e"/>`:                                  InEffect,
		`<op_expression id="e" name="monitor"/>`:                    InEffect,
		`<op_expression id="e" name="monitor" interval="10000ms"/>`: InEffect,
		`<op_expression id="e" name="monitor" interval="20s"/>`:     Unsatisfied,
		`<op_expression id="e" name="start"/>`:                      Unsatisfied,
		`<op_expression id="e" name="start" interval="x"/>`:         Undetermined,
		`<op_expression id="e"/>`:                                   Undetermined,
	} {
		if got := Eval(rule(t, `<rule id="r">`+text+`</rule>`), facts); got.State != want {
			t.Errorf("%s: %s, want %s", text, got.State, want)
		}
	}
	bare := rule(t, `<rule id="r" boolean-op="or"><rsc_expression id="a" class="ocf"/><op_expression id="b" name="monitor"/></rule>`)
	if Eval(bare, Facts{Now: now}).Holds() {
		t.Error("a rule about a resource applies where there is none")
	}
}

func TestDates(t *testing.T) {
	for text, want := range map[string]string{
		`operation="gt" start="2026-11-20 08:30:14Z"`:                                          "in effect",
		`operation="gt" start="2026-11-20 08:30:15Z"`:                                          "not yet in effect until 08:30:16",
		`operation="lt" end="2026-11-20 08:30:16Z"`:                                            "in effect until 08:30:16",
		`operation="lt" end="2026-11-20 08:30:15Z"`:                                            "expired",
		`operation="in_range" start="2026-11-20 08:30:15Z" end="2026-11-20 08:30:15Z"`:         "in effect until 08:30:16",
		`start="2026-11-20 09:00Z" end="2026-11-21"`:                                           "not yet in effect until 09:00:00",
		`operation="in_range" end="2026-11-20 08:00Z"`:                                         "expired",
		`operation="in_range" start="2026-11-20 08:00Z"`:                                       "in effect",
		`operation="in_range" start="2026-11-20 08:00Z">` + `<duration id="d" hours="1"/`:      "in effect until 09:00:01",
		`operation="in_range" start="2026-10-01">` + `<duration id="d" months="1"/`:            "expired",
		`operation="date_spec"><date_spec id="s" hours="8-16" weekdays="1-5"/`:                 "in effect until 17:00:00",
		`operation="date_spec"><date_spec id="s" hours="9-16" weekdays="1-5"/`:                 "not satisfied until 09:00:00",
		`operation="date_spec"><date_spec id="s" weekdays="6-7"/`:                              "not satisfied until 2026-11-21 00:00:00",
		`operation="date_spec"><date_spec id="s" years="2026-"/`:                               "in effect",
		`operation="date_spec"><date_spec id="s" years="2026" months="11-12"/`:                 "in effect until 2027-01-01 00:00:00",
		`operation="date_spec"><date_spec id="s" years="-2025"/`:                               "not satisfied",
		`operation="date_spec"><date_spec id="s" weeks="48" weekyears="2026"/`:                 "not satisfied until 2026-11-23 00:00:00",
		`operation="date_spec"><date_spec id="s" yeardays="324" minutes="30" seconds="10-20"/`: "in effect until 08:30:21",
		`operation="date_spec"><date_spec id="s" monthdays="31"/`:                              "not satisfied until 2026-12-31 00:00:00",
		`operation="date_spec"><date_spec id="s"/`:                                             "in effect",
		`operation="gt"`:                                                      "undetermined",
		`operation="lt" start="2026-01-01"`:                                   "undetermined",
		`operation="in_range"`:                                                "undetermined",
		`operation="in_range" start="garbage"`:                                "undetermined",
		`operation="in_range"><duration id="d" hours="1"/`:                    "undetermined",
		`operation="in_range" start="2026-10-01"><duration id="d" hours="x"/`: "undetermined",
		`operation="date_spec"`:                                               "undetermined",
		`operation="date_spec"><date_spec id="s" hours="x"/`:                  "undetermined",
		`operation="date_spec"><date_spec id="s" hours="9-5"/`:                "undetermined",
		`operation="date_spec"><date_spec id="s" hours="-"/`:                  "undetermined",
		`operation="sometimes"`:                                               "undetermined",
	} {
		closing := "/>"
		if strings.HasSuffix(text, "/") {
			closing = "></date_expression>"
		}
		r := rule(t, `<rule id="r"><date_expression id="e" `+text+closing+`</rule>`)
		got := describe(Eval(r, facts))
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		if broken := len(Check(r)) > 0; broken != (want == "undetermined") {
			t.Errorf("%s: Check says %v", text, Check(r))
		}
	}
}

func describe(a Answer) string {
	if a.Next.IsZero() {
		return a.State.String()
	}
	at := strings.TrimPrefix(a.Next.Format("2006-01-02 15:04:05"), "2026-11-20 ")
	return fmt.Sprintf("%s until %s", a.State, at)
}

func TestRules(t *testing.T) {
	const (
		yes   = `<expression id="y" attribute="site" operation="defined"/>`
		no    = `<expression id="n" attribute="site" operation="not_defined"/>`
		later = `<date_expression id="l" operation="gt" start="2026-11-20 09:00Z"/>`
		past  = `<date_expression id="p" operation="lt" end="2026-11-20 08:00Z"/>`
	)
	for text, want := range map[string]string{
		`<rule id="r"/>`:                                                           "in effect",
		`<rule id="r" boolean-op="or"/>`:                                           "not satisfied",
		`<rule id="r">` + yes + no + `</rule>`:                                     "not satisfied",
		`<rule id="r" boolean-op="or">` + no + yes + `</rule>`:                     "in effect",
		`<rule id="r">` + yes + later + `</rule>`:                                  "not yet in effect until 09:00:01",
		`<rule id="r" boolean-op="or">` + past + later + `</rule>`:                 "expired until 09:00:01",
		`<rule id="r"><rule id="s" boolean-op="or">` + no + yes + `</rule></rule>`: "in effect",
		`<rule id="r">` + yes + `<rule id="s">` + no + `</rule></rule>`:            "not satisfied",
		`<rule id="r"><!-- c -->` + yes + `<nvpair id="x" name="a"/></rule>`:       "in effect",
	} {
		if got := describe(Eval(rule(t, text), facts)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		`<m id="m"/>`: "in effect",
		`<m id="m"><rule id="r">` + no + `</rule><rule id="s">` + later + `</rule></m>`: "not satisfied until 09:00:01",
		`<m id="m"><rule id="r">` + no + `</rule><rule id="s">` + yes + `</rule></m>`:   "in effect",
	} {
		if got := describe(EvalAll(rule(t, text), facts)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func drawSpec(t *rapid.T, names ...string) *cib.Element {
	e := cib.New("date_spec", "id", "s")
	tops := map[string]int{"months": 12, "weeks": 53, "monthdays": 31, "yeardays": 366, "weekdays": 7, "hours": 23, "minutes": 59, "seconds": 59}
	for _, name := range names {
		if rapid.Bool().Draw(t, "has "+name) {
			from := rapid.IntRange(0, tops[name]).Draw(t, name)
			to := rapid.IntRange(from, tops[name]).Draw(t, name+" to")
			e = e.With(name, fmt.Sprintf("%d-%d", from, to))
		}
	}
	return e
}

// The next change is the one that stepping through time finds.
func TestNextChangeAgainstStepping(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		zone = time.FixedZone("CET", 3600) // no zone database here: the same without changes of clocks
	}
	for _, c := range []struct {
		fields []string
		step   time.Duration
		steps  int
	}{
		{[]string{"minutes", "seconds"}, time.Second, 3700},
		{[]string{"hours", "minutes"}, time.Minute, 3000},
		{[]string{"weekdays", "hours"}, 15 * time.Minute, 1000},
		{[]string{"months", "monthdays", "weeks", "yeardays", "weekdays"}, time.Hour, 1000},
	} {
		rapid.Check(t, func(t *rapid.T) {
			e := drawSpec(t, c.fields...)
			spec, err := parseSpec(e)
			if err != nil {
				t.Fatal(err)
			}
			from := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "from"), 0).In(zone).Truncate(c.step)
			first := spec.eval(from)
			for i := 1; i < c.steps; i++ {
				at := from.Add(time.Duration(i) * c.step)
				changed := spec.matches(at) != first.Holds()
				reached := !first.Next.IsZero() && !at.Before(first.Next)
				if changed && !reached {
					t.Fatalf("%s from %s: changed at %s, Next is %s", e, from, at, first.Next)
				}
				if reached {
					return
				}
			}
		})
	}
}

func FuzzEval(f *testing.F) {
	for _, s := range []string{
		`<rule id="r" boolean-op="or"><expression id="e" attribute="a" operation="lt" value="1.5"/></rule>`,
		`<rule id="r"><date_expression id="e" operation="date_spec"><date_spec id="s" hours="9-16" weekdays="-5"/></date_expression></rule>`,
		`<rule id="r"><date_expression id="e" start="2024-01-31"><duration id="d" months="1" weeks="-3"/></date_expression></rule>`,
		`<rule id="r"><rule id="s"><op_expression id="o" name="monitor" interval="PT1M"/></rule></rule>`,
	} {
		f.Add([]byte(s), int64(1_800_000_000))
	}
	f.Fuzz(func(t *testing.T, text []byte, unix int64) {
		e, err := cib.Parse(text)
		if err != nil {
			return
		}
		facts := facts
		facts.Now = time.Unix(unix%100_000_000_000, 0).UTC()
		a := Eval(e, facts)
		if !a.Next.IsZero() && !a.Next.After(facts.Now) {
			t.Fatalf("%s at %s: next change at %s", e, facts.Now, a.Next)
		}
		Check(e)
	})
}

func BenchmarkEval(b *testing.B) {
	r := rule(b, `<rule id="r" boolean-op="and"><expression id="e" attribute="#uname" operation="eq" value="node1"/>`+
		`<date_expression id="d" operation="date_spec"><date_spec id="s" hours="8-16" weekdays="1-5"/></date_expression></rule>`)
	for b.Loop() {
		if !Eval(r, facts).Holds() {
			b.Fatal("does not hold")
		}
	}
}
