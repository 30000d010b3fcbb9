package phpfpm

import (
	"fmt"
	"path/filepath"
	"strings"
)

// settings are what the agent wants to know of a configuration.
type settings struct {
	pidfile string
	pools   []pool
}

// pool is one [section] but the global one.
type pool struct {
	name, listen         string
	pingPath, statusPath string
}

// maxIncluded bounds the files of a configuration.
const maxIncluded = 256

// parseConfig reads php-fpm's configuration: sections of "name = value", comments
// after a semicolon, and include=, whose files open gives the text of. Values
// that php-fpm would refuse are its business: it tests the configuration itself.
func parseConfig(text string, open func(pattern string) ([]string, error)) (settings, error) {
	var s settings
	included := 0
	var read func(text string, section *string) error
	read = func(text string, section *string) error {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if name, ok := strings.CutPrefix(line, "["); ok {
				name, _, _ = strings.Cut(name, "]")
				*section = strings.TrimSpace(name)
				continue
			}
			name, value, ok := strings.Cut(line, "=")
			if !ok || strings.HasPrefix(line, ";") || strings.HasPrefix(line, "#") {
				continue
			}
			name, value = strings.TrimSpace(name), unquote(strings.TrimSpace(value))
			if name != "include" {
				s.set(*section, name, strings.ReplaceAll(value, "$pool", *section))
				continue
			}
			files, err := open(value)
			if err != nil {
				return fmt.Errorf("include %s: %w", value, err)
			}
			for _, f := range files {
				if included++; included > maxIncluded {
					return fmt.Errorf("more than %d files are included", maxIncluded)
				}
				if err := read(f, section); err != nil {
					return err
				}
			}
		}
		return nil
	}
	section := "global"
	err := read(text, &section)
	return s, err
}

// unquote takes a comment after a value, and its quotes, away.
func unquote(v string) string {
	for _, q := range []string{`"`, `'`} {
		if rest, ok := strings.CutPrefix(v, q); ok {
			v, _, _ = strings.Cut(rest, q)
			return v
		}
	}
	v, _, _ = strings.Cut(v, ";")
	return strings.TrimSpace(v)
}

func (s *settings) set(section, name, value string) {
	if section == "global" {
		if name == "pid" {
			s.pidfile = value
		}
		return
	}
	i := 0
	for i < len(s.pools) && s.pools[i].name != section {
		i++
	}
	if i == len(s.pools) {
		s.pools = append(s.pools, pool{name: section})
	}
	p := &s.pools[i]
	switch name {
	case "listen":
		p.listen = value
	case "ping.path":
		p.pingPath = value
	case "pm.status_path":
		p.statusPath = value
	}
}

// socketDir is where a pool's socket is made, "" for TCP.
func (p pool) socketDir() string {
	if !strings.Contains(p.listen, "/") {
		return ""
	}
	return filepath.Dir(p.listen)
}
