package ipvs

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"systole/agents/check"
	"systole/agents/ipvs/config"
	"systole/agents/ipvs/control"
	"systole/agents/ipvs/table"
)

// maxFile bounds a configuration file.
const maxFile = 16 << 20

// load reads the configuration a setup names.
func load(s control.Setup) (config.Config, error) {
	var d config.Defaults
	var errs []error
	var err error
	if s.CheckDefaults != "" {
		if d.Check, err = check.ParseDefaults(s.CheckDefaults); err != nil {
			errs = append(errs, fmt.Errorf("parameter check_defaults: %w", err))
		}
	}
	if s.Sorry != "" {
		if d.Sorry, err = parseSorry(s.Sorry); err != nil {
			errs = append(errs, fmt.Errorf("parameter sorry: %w", err))
		}
	}
	text, place := s.Services, "parameter services"
	if s.File != "" {
		place = s.File
		if text, err = readFile(s.File); err != nil {
			return config.Config{}, errors.Join(append(errs, fmt.Errorf("parameter config: %w", err))...)
		}
	}
	cfg, err := config.Parse(text, d)
	if err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", place, err))
	}
	if s.Sync != nil {
		errs = append(errs, oneFamily(cfg))
	}
	return cfg, errors.Join(errs...)
}

func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return "", fmt.Errorf("%s is not a file of at most %d bytes", path, maxFile)
	}
	data, err := os.ReadFile(path)
	return string(data), err
}

func parseSorry(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.AddrPortFrom(a.Unmap(), 0), nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Addr().Zone() != "" {
		return a, fmt.Errorf("%q is not an address: write 127.0.0.1 or 127.0.0.1:8080", s)
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), nil
}

// oneFamily: the synchronisation protocol cannot say that a connection changes
// its family, and the kernel refuses such servers while a daemon runs.
func oneFamily(c config.Config) error {
	var errs []error
	for _, v := range c.Virtuals {
		for _, r := range v.Reals {
			if table.FamilyOf(r.Addr.Addr()) != v.Family {
				errs = append(errs, fmt.Errorf("line %d: real %s of %s: with sync_interface both must be of one family (IPv4 or IPv6)", r.Line, r.Addr, v.Key))
			}
		}
	}
	return errors.Join(errs...)
}
