package transition

import (
	"testing"
	"time"
)

func TestKeyRoundTrip(t *testing.T) {
	for _, s := range []string{
		"12:3:7:66b8d3ae-1b0c-4b2a-8a4c-1d6b2a2f6f7e",
		"0:-1:0:",
		"5:2:193:xxxx",
	} {
		k, err := ParseKey(s)
		if err != nil || k.String() != s {
			t.Errorf("ParseKey(%q) = %v, %v", s, k, err)
		}
	}
	m, err := ParseMagic("-1:193;12:3:7:u")
	if err != nil || m.Status != -1 || m.RC != 193 || m.Key.Action != 12 || m.String() != "-1:193;12:3:7:u" {
		t.Errorf("ParseMagic: %+v, %v", m, err)
	}
}

func TestKeyRefusals(t *testing.T) {
	for _, s := range []string{"", "1:2:3", "1:2:3:u:v", "a:2:3:u", "1:b:3:u", "1:2:c:u"} {
		if k, err := ParseKey(s); err == nil {
			t.Errorf("ParseKey(%q) = %v, want an error", s, k)
		}
	}
	for _, s := range []string{"", "0:0", "0;1:2:3:u", "x:0;1:2:3:u", "0:x;1:2:3:u", "0:0;1:2"} {
		if m, err := ParseMagic(s); err == nil {
			t.Errorf("ParseMagic(%q) = %v, want an error", s, m)
		}
	}
}

func TestSplitOpKey(t *testing.T) {
	for _, c := range []struct {
		key, resource, task string
		interval            time.Duration
	}{
		{"web_start_0", "web", "start", 0},
		{"my_web_monitor_10000", "my_web", "monitor", 10 * time.Second},
		{"vm_migrate_to_0", "vm", "migrate_to", 0},
		{"db:1_post_notify_promote_0", "db:1", "post_notify_promote", 0},
		{"ms_confirmed-pre_notify_start_0", "ms", "confirmed-pre_notify_start", 0},
		{"a_clear_failcount_0", "a", "clear_failcount", 0},
		{"a_clear_start_0", "a_clear", "start", 0},
	} {
		r, task, d, ok := SplitOpKey(c.key)
		if !ok || r != c.resource || task != c.task || d != c.interval {
			t.Errorf("SplitOpKey(%q) = %q %q %v %v", c.key, r, task, d, ok)
		}
		if back := OpKey(r, task, d); back != c.key {
			t.Errorf("OpKey of %q gives %q", c.key, back)
		}
	}
	for _, key := range []string{"", "_", "start_0", "a_start", "a_start_x", "__0", "a_start_-1"} {
		if r, task, _, ok := SplitOpKey(key); ok {
			t.Errorf("SplitOpKey(%q) = %q %q, want a refusal", key, r, task)
		}
	}
}

func FuzzKey(f *testing.F) {
	for _, s := range []string{"0:0;12:3:7:66b8d3ae", "4:1;1:2:3:", "1:2:3:u", ";", "::", "-1:193;5:2:0:a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := ParseMagic(s); err == nil {
			again, err := ParseMagic(m.String())
			if err != nil || again != m {
				t.Fatalf("%q reads as %+v, which does not read back: %v", s, m, err)
			}
		}
		if k, err := ParseKey(s); err == nil {
			if again, err := ParseKey(k.String()); err != nil || again != k {
				t.Fatalf("%q reads as %+v, which does not read back: %v", s, k, err)
			}
		}
	})
}

func FuzzOpKey(f *testing.F) {
	for _, s := range []string{"web_start_0", "vm_migrate_from_0", "x_post_notify_stop_0", "_a_0", "a__0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, task, d, ok := SplitOpKey(s)
		if !ok {
			return
		}
		if r2, task2, d2, ok := SplitOpKey(OpKey(r, task, d)); !ok || r2 != r || task2 != task || d2 != d {
			t.Fatalf("%q splits into %q %q %v, which does not read back", s, r, task, d)
		}
	})
}
