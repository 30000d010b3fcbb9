package table

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of the kernel and of ipvsadm.
const (
	MaxWeight     = 65535
	MaxPersistent = 31 * 24 * time.Hour // ip_vs.h has no bound; a timer must not overflow in jiffies
)

// Validate tells everything that is wrong with a service and its servers. Every
// problem names the service or server and what to write instead.
func (v Virtual) Validate() error {
	errs := []error{v.Service.Validate()}
	seen := map[string]bool{}
	for _, s := range v.Servers {
		if id := s.Addr.String(); seen[id] {
			errs = append(errs, fmt.Errorf("virtual %s: server %s is given twice: leave one", v.Key, s.Addr))
		} else {
			seen[id] = true
		}
		errs = append(errs, v.Service.ValidateServer(s))
	}
	return errors.Join(errs...)
}

// Validate tells everything that is wrong with a service.
func (s Service) Validate() error {
	var errs []error
	problem := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("virtual %s: "+format, append([]any{s.Key}, args...)...))
	}
	switch {
	case s.IsMark() && (s.Addr.IsValid() || s.Protocol != 0):
		problem("it has a mark and an address: give one of them")
	case !s.IsMark() && !s.Addr.IsValid():
		problem("it has neither a mark nor an address: give one, such as tcp 192.0.2.10:80")
	case !s.IsMark() && s.Addr.Port() == 0 && s.Persistent == 0:
		problem("port 0 is every port, and only for a persistent service: add persistent=300")
	}
	if _, err := ParseScheduler(string(s.Scheduler)); err != nil {
		problem("%w", err)
	}
	if s.Persistent < 0 || s.Persistent > MaxPersistent || s.Persistent%time.Second != 0 {
		problem("persistent %s: give whole seconds, at most %d", s.Persistent, MaxPersistent/time.Second)
	}
	if s.Persistent == 0 && s.Engine != "" {
		problem("engine %s is only for a persistent service: add persistent=300", s.Engine)
	}
	if s.Persistent == 0 && s.Mask != 0 && s.Mask != FullMask(s.Family) {
		problem("a mask is only for a persistent service: add persistent=300")
	}
	if s.Family == IPv6 && s.Mask > 128 {
		problem("mask %d: for IPv6 give a prefix length from 1 to 128", s.Mask)
	}
	if s.Flags&OnePacket != 0 && s.Protocol != UDP && !s.IsMark() {
		problem("one-packet scheduling is for UDP only: leave ops out")
	}
	if extra := s.Flags &^ (OnePacket | SchedMask); extra != 0 {
		problem("flags %#x are the kernel's own: leave them out", uint32(extra))
	}
	return errors.Join(errs...)
}

// ValidateServer tells everything that is wrong with one server of the service.
func (s Service) ValidateServer(r Server) error {
	var errs []error
	problem := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("virtual %s: server %s: "+format, append([]any{s.Key, r.Addr}, args...)...))
	}
	if !r.Addr.IsValid() || r.Addr.Addr().Zone() != "" {
		problem("it is not an address: write 10.0.0.11:80 or [fd00::11]:80")
		return errors.Join(errs...)
	}
	if f := FamilyOf(r.Addr.Addr()); f != s.Family && r.Forward != Tunneling {
		problem("it is %s and the service %s: use forward=tun, or an address of the same family", f, s.Family)
	}
	switch port := s.Addr.Port(); {
	case s.IsMark() || port == 0:
		if r.Addr.Port() != 0 && r.Forward != Masquerade {
			problem("with %s packets keep their port: leave the port out", r.Forward)
		}
	case r.Addr.Port() == 0:
		problem("it has no port: add :%d", port)
	case r.Addr.Port() != port && r.Forward != Masquerade:
		problem("with %s packets keep their port: write :%d, or use forward=masq", r.Forward, port)
	}
	if r.Weight < 0 || r.Weight > MaxWeight {
		problem("weight %d: give 0 to %d", r.Weight, MaxWeight)
	}
	if r.Lower > 0 && r.Upper == 0 {
		problem("a lower threshold without an upper one does nothing: add upper=")
	} else if r.Lower > r.Upper {
		problem("the lower threshold %d is above the upper one, %d: make it smaller", r.Lower, r.Upper)
	}
	if r.Forward != DirectRouting && r.Forward != Tunneling && r.Forward != Masquerade {
		problem("forwarding %s is the kernel's own: use dr, tun or masq", r.Forward)
	}
	if err := r.validateTunnel(); err != nil {
		problem("%w", err)
	}
	return errors.Join(errs...)
}

func (r Server) validateTunnel() error {
	t := r.Tunnel
	switch {
	case r.Forward != Tunneling && t != (Tunnel{}):
		return errors.New("a tunnel is only for forward=tun")
	case t.Type == GUE && t.Port == 0:
		return errors.New("a gue tunnel needs a port: add tunnel-port=6080")
	case t.Type != GUE && t.Port != 0:
		return fmt.Errorf("a tunnel port is only for gue, not %s: leave it out", t.Type)
	case t.Type == IPIP && t.Flags != NoChecksum:
		return errors.New("an ipip tunnel has no checksums: leave tunnel-checksum out")
	case t.Type == GRE && t.Flags == RemoteChecksum:
		return errors.New("a gre tunnel has no remote checksum: use csum or nocsum")
	}
	return nil
}
