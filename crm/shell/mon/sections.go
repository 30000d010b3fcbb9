package mon

import (
	"strings"

	"systole/crm/display"
	"systole/crm/exit"
)

// sections collects which sections were asked for or away, in the order of the command
// line. Its methods give flag values that share it.
type sections struct {
	steps []func(now, defaults display.Show) display.Show
	bans  string
	full  bool
	err   error
}

func add(show display.Show) func(now, _ display.Show) display.Show {
	return func(now, _ display.Show) display.Show { return now | show }
}

func remove(show display.Show) func(now, _ display.Show) display.Show {
	return func(now, _ display.Show) display.Show { return now &^ show }
}

func (s *sections) apply(defaults display.Show) display.Show {
	now := defaults
	for _, step := range s.steps {
		now = step(now, defaults)
	}
	return now
}

// Set, String and Type make the collection the value of --include.
func (s *sections) Set(list string) error { return s.each(list, true) }

// String is empty: the collection has no default worth showing.
func (s *sections) String() string { return "" }

// Type names the value in messages.
func (s *sections) Type() string { return "sections" }

// each applies a comma-separated list of section names.
func (s *sections) each(list string, include bool) error {
	for name := range strings.SplitSeq(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if prefix, ok := strings.CutPrefix(name, "bans:"); ok {
			name, s.bans = "bans", prefix
		}
		switch show, known := display.SectionNames[name]; {
		case name == "all" && include, name == "none" && !include:
			s.steps = append(s.steps, add(display.ShowAll))
		case name == "none", name == "all":
			s.steps = append(s.steps, remove(display.ShowAll))
		case (name == "default" || name == "defaults") && include:
			s.steps = append(s.steps, func(now, defaults display.Show) display.Show { return now | defaults })
		case known && include:
			s.steps = append(s.steps, add(show))
		case known:
			s.steps = append(s.steps, remove(show))
		default:
			return exit.Errorf(exit.Usage, "there is no section %q; crm_mon --help lists them", name)
		}
	}
	return nil
}

// value is a flag value that calls a function.
type value struct {
	set  func(string) error
	kind string
}

// Set calls the function.
func (v value) Set(text string) error { return v.set(text) }

// String is empty: these options have no default value.
func (v value) String() string { return "" }

// Type names the value in messages.
func (v value) Type() string { return v.kind }

func (s *sections) excluder() value {
	return value{func(list string) error { return s.each(list, false) }, "sections"}
}

// adder is an option that shows sections more.
func (s *sections) adder(show display.Show) value {
	return value{func(string) error { s.steps = append(s.steps, add(show)); return nil }, "bool"}
}

func (s *sections) hider() value {
	return value{func(string) error { s.steps = append(s.steps, remove(display.ShowSummary)); return nil }, "bool"}
}

func (s *sections) banner() value {
	return value{func(prefix string) error {
		s.steps = append(s.steps, add(display.ShowBans))
		s.bans = strings.TrimPrefix(prefix, "*")
		return nil
	}, "prefix"}
}

// fencer is -m with its levels.
func (s *sections) fencer() value {
	return value{func(level string) error {
		s.steps = append(s.steps, remove(display.ShowFencing))
		switch level {
		case "0":
		case "1":
			s.steps = append(s.steps, add(display.ShowFencingFailed|display.ShowFencingPending))
		case "2", "3":
			s.steps = append(s.steps, add(display.ShowFencing))
			s.full = level == "3"
		default:
			return exit.Errorf(exit.Usage, "fencing history level %q: want 0, 1, 2 or 3", level)
		}
		return nil
	}, "level"}
}
