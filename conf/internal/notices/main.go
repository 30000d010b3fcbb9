// Command notices prints the licences of everything that is linked into the
// programs, as their authors ask: go run ./conf/internal/notices > conf/packaging/NOTICES.md
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	if err := errors.Join(run(out), out.Flush()); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

// module is what go list says of one.
type module struct {
	Path, Version, Dir string
	Replace            *module
}

func run(w io.Writer) error {
	modules, err := linked("./cmd/...")
	if err != nil {
		return err
	}
	fmt.Fprint(w, "# Third-party notices\n\nLinked into the programs of this project. Made by conf/internal/notices.\n\n| module | version | licence |\n|---|---|---|\n")
	texts := map[string][]string{} // licence file → modules under it
	for _, m := range modules {
		text, err := licence(m.Dir)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Path, err)
		}
		fmt.Fprintf(w, "| %s | %s | %s |\n", m.Path, m.Version, kind(text))
		texts[text] = append(texts[text], m.Path)
	}
	for _, text := range slices.SortedFunc(maps.Keys(texts), func(a, b string) int { return cmp.Compare(texts[a][0], texts[b][0]) }) {
		fmt.Fprintf(w, "\n## %s\n\n```\n%s\n```\n", strings.Join(texts[text], ", "), strings.TrimSpace(text))
	}
	return nil
}

// linked lists the modules, but for this one, that the packages are built of.
func linked(packages string) ([]module, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=Module", packages)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	found := map[string]module{}
	for dec := json.NewDecoder(bytes.NewReader(b)); ; {
		var p struct{ Module *module }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if m := p.Module; m != nil && m.Version != "" {
			if m.Replace != nil {
				m.Dir, m.Version = m.Replace.Dir, m.Replace.Version
			}
			found[m.Path] = *m
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b module) int { return cmp.Compare(a.Path, b.Path) }), nil
}

// licence is the text of a module's licence files.
func licence(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var all []string
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if e.IsDir() || !strings.HasPrefix(name, "LICENSE") && !strings.HasPrefix(name, "LICENCE") && !strings.HasPrefix(name, "COPYING") && !strings.HasPrefix(name, "NOTICE") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		all = append(all, strings.ReplaceAll(strings.TrimSpace(string(b)), "\r\n", "\n"))
	}
	if len(all) == 0 {
		return "", errors.New("no licence file")
	}
	return strings.Join(all, "\n\n"), nil
}

var kinds = []struct {
	name string
	says *regexp.Regexp
}{
	{"MPL-2.0", regexp.MustCompile(`Mozilla Public License,? [Vv]ersion 2\.0`)},
	{"Apache-2.0", regexp.MustCompile(`Apache License\s+Version 2\.0`)},
	{"BSD-3-Clause", regexp.MustCompile(`(?s)Redistribution and use.*[Nn]either the name`)},
	{"BSD-2-Clause", regexp.MustCompile(`Redistribution and use in source and binary forms`)},
	{"MIT", regexp.MustCompile(`Permission is hereby granted, free of charge`)},
	{"ISC", regexp.MustCompile(`Permission to use, copy, modify, and(/or)? distribute this software`)},
}

// kind names a licence by its words; an unknown one is for a person to look at.
func kind(text string) string {
	for _, k := range kinds {
		if k.says.MatchString(text) {
			return k.name
		}
	}
	return "see below"
}
