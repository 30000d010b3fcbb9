package resources

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var sample = Metadata{
	Name: "IPaddr2", Version: "1", API: "1.1", Short: "an address", Long: "An address & <more>.",
	Parameters: []Parameter{
		{Name: "ip", Type: ParamString, Required: true, Unique: true, Short: "address", Long: "The address."},
		{Name: "arp_count", Type: ParamInteger, Default: "5", Short: "frames", Long: "How many."},
		{Name: "wait", Type: ParamTime, Default: "200ms", Reloadable: true, Short: "w", Long: "w"},
		{Name: "mode", Type: ParamSelect, Default: "a", Values: []string{"a", "b"}, Short: "m", Long: "m"},
		{Name: "on", Type: ParamBoolean, Default: "false", Short: "o", Long: "o"},
		{Name: "secret", Type: ParamString, Private: true, Short: "s", Long: "s"},
	},
	Actions: []ActionSpec{{Name: "start", Timeout: "20s"}, {Name: "monitor", Timeout: "20s", Interval: "10s", Depth: "0", Role: "Promoted"}},
}

func TestMetadataRoundTrip(t *testing.T) {
	got, err := ParseMetadata(sample.XML())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&sample, got); d != "" {
		t.Errorf("parse(print) differs:\n%s", d)
	}
}

func TestResolve(t *testing.T) {
	v, err := sample.Resolve(map[string]string{"ip": "10.0.0.1", "wait": "2", "on": "YES", "mode": "", "unknown": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if v.String("ip") != "10.0.0.1" || v.Int("arp_count") != 5 || v.Duration("wait") != 2*time.Second || !v.Bool("on") || v.String("mode") != "a" {
		t.Errorf("values %+v", v)
	}
	_, err = sample.Resolve(map[string]string{"arp_count": "five", "wait": "soon", "on": "maybe", "mode": "c"})
	for _, name := range []string{"ip", "arp_count", "wait", "on", "mode"} {
		if err == nil || !strings.Contains(err.Error(), "parameter "+name+" of IPaddr2") {
			t.Errorf("problem with %s not named: %v", name, err)
		}
	}
}

func TestParseTime(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"20": 20 * time.Second, "20s": 20 * time.Second, "500ms": 500 * time.Millisecond, "1.5s": 1500 * time.Millisecond,
		"2min": 2 * time.Minute, "2m": 2 * time.Minute, "1h": time.Hour, "0": 0, "7 s": 7 * time.Second,
	} {
		if got, err := ParseTime(in); err != nil || got != want {
			t.Errorf("ParseTime(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "s", "-1", "5 parsecs", "1e300h", "NaN"} {
		if got, err := ParseTime(in); err == nil {
			t.Errorf("ParseTime(%q) = %v, want an error", in, got)
		}
	}
}

func FuzzParseMetadata(f *testing.F) {
	f.Add(sample.XML())
	f.Add([]byte(`<resource-agent name="fence_x" shortdesc="X"><parameters><parameter name="ip" required="1"><getopt mixed="-a, --ip=[ip]"/><content type="string"/><shortdesc lang="en">d</shortdesc></parameter></parameters><actions><action name="on" automatic="0"/></actions></resource-agent>`))
	f.Add([]byte(`<?xml version="1.0" encoding="iso-8859-1"?><resource-agent name="a"><version>1.0</version></resource-agent>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMetadata(data)
		if err != nil {
			return
		}
		if _, err := ParseMetadata(m.XML()); err != nil {
			t.Errorf("own print of parsed metadata does not parse: %v\n%s", err, m.XML())
		}
	})
}
