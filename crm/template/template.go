// Package template makes sites from the examples. An example is complete and
// proven as it stands; a [Template] is a table that says which of its literals
// belong to that one site, and what may stand in their place. With every
// variable at its default the files are the example, byte for byte.
//
// Everything here is a function of texts: nothing is asked, opened or written.
// Values are held to characters that mean nothing to crm, nginx, PHP, MariaDB or
// DRBD, so that none can say more than itself. Secrets are never variables.
package template

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"systole/conf/examples"
	"systole/crm/clitext"
	"systole/crm/exit"
)

// Template is an example with its variables. It is immutable.
type Template struct {
	Name  string
	Short string // what comes of it, in one line
	// dir and files are the example's; scripts are in the order they are loaded in.
	dir       string
	files     []string
	Variables []Variable // later ones may build on earlier ones
}

// Variable is something of which each site has its own.
type Variable struct {
	Name    string
	Meaning string
	// Default is what the example has; {name} in it is another variable's value.
	Default string
	kind    kind
	// forms are where the value stands, {} for all of it and {part} for a part
	// (kind says which there are). None is {} alone. The nodes of a list stand by
	// their fields.
	forms []string
	// in names the network that must contain the address, or the nodes' addresses.
	in string
}

// Kind says what a value is, as a noun with its article.
func (v Variable) Kind() string { return v.kind.what }

// File is one file of a site, by its path below the site's directory.
type File struct {
	Path, Text string
}

// IsScript tells whether the file is for crm -f.
func (f File) IsScript() bool { return path.Ext(f.Path) == ".crm" }

// Site is what a template makes.
type Site struct {
	Files []File   // scripts first, in the order they are loaded in
	Nodes []string // whom the cluster consists of
}

// Script is all scripts as one.
func (s Site) Script() string {
	var all []string
	for _, f := range s.Files {
		if f.IsScript() {
			all = append(all, f.Text)
		}
	}
	return strings.Join(all, "up\n\n")
}

// Find looks up a template by name.
func Find(name string) (*Template, error) {
	var names []string
	for _, t := range All {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return nil, exit.Errorf(exit.NoSuch, "there is no template %q; there are %s", name, strings.Join(names, ", "))
}

// Answers reads assignments of the form name=value.
func (t *Template) Answers(assignments []string) (map[string]string, error) {
	answers := map[string]string{}
	names := t.names()
	var wrong []error
	for _, a := range assignments {
		name, value, ok := strings.Cut(a, "=")
		_, twice := answers[name]
		switch {
		case !ok:
			wrong = append(wrong, fmt.Errorf("%q gives no value: write NAME=VALUE", a))
		case !slices.Contains(names, name):
			hint := "its variables are " + strings.Join(names, ", ")
			if near := clitext.Nearest(name, names); near != "" {
				hint = "did you mean " + near + "?"
			}
			wrong = append(wrong, fmt.Errorf("%s has no variable %q; %s", t.Name, name, hint))
		case twice:
			wrong = append(wrong, fmt.Errorf("%s is given twice", name))
		default:
			answers[name] = value
		}
	}
	if wrong != nil {
		return nil, exit.With(exit.Usage, errors.Join(wrong...))
	}
	return answers, nil
}

func (t *Template) names() []string {
	var names []string
	for _, v := range t.Variables {
		names = append(names, v.Name)
	}
	return names
}

// Ask asks for every variable that has no answer yet, and again while an answer
// will not do. The question gets the variable, its default, and what was wrong
// with the last answer; an empty answer is the default, an error ends it.
func (t *Template) Ask(answers map[string]string, question func(v Variable, def string, wrong error) (string, error)) error {
	s := newSettings()
	for _, v := range t.Variables {
		text, given := answers[v.Name]
		if given {
			if err := s.set(v, text); err != nil {
				return exit.With(exit.DataErr, err)
			}
			continue
		}
		def := s.expand(v.Default)
		for wrong := error(nil); ; {
			text, err := question(v, def, wrong)
			if err != nil {
				return err
			}
			if text == "" {
				text = def
			}
			if wrong = s.set(v, text); wrong == nil {
				answers[v.Name] = text
				break
			}
		}
	}
	return nil
}

// Render makes the site of some answers; what is not answered is as in the
// example. All wrong values are reported together.
func (t *Template) Render(answers map[string]string) (Site, error) {
	example, mine := newSettings(), newSettings()
	var wrong []error
	for _, v := range t.Variables {
		if err := example.set(v, example.expand(v.Default)); err != nil {
			return Site{}, exit.With(exit.Software, err) // a slip in the table
		}
		text, given := answers[v.Name]
		if !given {
			text = mine.expand(v.Default)
		}
		if err := mine.set(v, text); err != nil && (given || !strings.Contains(text, "{")) { // else what it builds on is wrong
			wrong = append(wrong, err)
		}
	}
	if wrong != nil {
		return Site{}, exit.With(exit.DataErr, errors.Join(wrong...))
	}
	files, err := t.read()
	if err != nil {
		return Site{}, exit.With(exit.Software, err)
	}
	literals := t.literals(example, mine)
	for i, f := range files {
		if files[i].Text, err = render(f, literals); err != nil {
			return Site{}, exit.With(exit.Software, err)
		}
	}
	return Site{Files: files, Nodes: mine.nodes}, nil
}

// read gives the example's files.
func (t *Template) read() ([]File, error) {
	var files []File
	for _, name := range t.files {
		err := fs.WalkDir(examples.Files, path.Join(t.dir, name), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := examples.Files.ReadFile(p)
			files = append(files, File{strings.TrimPrefix(p, t.dir+"/"), string(text)})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}
