package lamp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"systole/integration/lab"
	"systole/integration/lab/editor"
)

func TestMain(m *testing.M) { lab.Main(m) }

// TestLamp kills everything once while somebody writes.
func TestLamp(t *testing.T) {
	l := lab.New(t)
	six, err := newSite(l)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := time.ParseDuration(os.Getenv("SYSTOLE_LAB_DETECT")); err == nil {
		six.DetectWithin = d
	}
	s := &story{T: t, site: six, diary: editor.NewDiary(editor.New("http://"+address, editor.Account{User: "editor", Password: "a long pass phrase", Email: "editor@example.org"}))}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	err = six.Build(ctx, t.Logf)
	cancel()
	s.must("the site", err)

	ctx, end := context.WithCancel(t.Context())
	var watchers, writers sync.WaitGroup
	s.watch(ctx, &watchers)
	s.must("the editor", errors.Join(s.diary.Install(ctx, "A site that stays"), s.diary.Login(ctx)))
	writing, stop := context.WithCancel(ctx)
	writers.Go(func() { s.diary.Write(writing, editor.Pace{}) })
	t.Cleanup(func() { stop(); writers.Wait(); end(); watchers.Wait() })
	s.eventually("the first posts", func() bool { return s.diary.Posts.Since(time.Time{}) > 2 })

	s.playAll()

	stop()
	writers.Wait()
	s.must("at the end, reading back", s.diary.Verify(t.Context()))
	s.clean()
	end()
	watchers.Wait()
	for _, w := range s.wires {
		for _, v := range w.Violations() {
			t.Error("on the wire: ", v)
		}
	}
	for _, v := range s.twice {
		t.Error("active on both machines of the storage pair: ", v)
	}
	s.print()
}

// playAll throws the faults, one after another.
func (s *story) playAll() {
	nothing := func() error { return nil }
	cut := func(n *lab.Node) func() error { return func() error { n.PowerCut(); return nil } }
	kill := func(role string, n *lab.Node, program string) {
		s.fault(program+" killed on "+role, s.do(n, "pkill -KILL -x "+program), s.whole)
	}
	director := s.active("vip", s.directors)
	s.fault("power cut, active director", cut(director), s.returned(director))
	standby := other(s.directors, s.active("vip", s.directors))
	s.fault("power cut, standby director", cut(standby), s.returned(standby))
	for _, n := range s.webs {
		s.fault("power cut, "+n.Name, cut(n), s.returned(n))
	}
	store := s.active("store-ip", s.stores)
	s.fault("power cut, active storage", cut(store), s.returned(store))
	spare := other(s.stores, s.active("store-ip", s.stores))
	s.fault("power cut, standby storage", cut(spare), s.returned(spare))

	kill("web-1", s.webs[0], "nginx")
	kill("web-2", s.webs[1], "php-fpm8.2")
	kill("the active storage", s.active("store-ip", s.stores), "mariadbd")
	s.fault("NFS server ended on the active storage", s.do(s.active("store-ip", s.stores), "echo 0 > /proc/fs/nfsd/threads"), s.whole)

	store = s.active("store-ip", s.stores)
	s.fault("network cut, active storage", func() error { store.PullCable(); return nil }, s.returned(store))

	for _, n := range s.Nodes {
		s.fault("planned standby, "+n.Name, s.do(n, "crm -w node standby "+n.Name), func() error {
			return errors.Join(s.do(n, "crm -w node online "+n.Name)(), s.whole())
		})
	}
	s.fault("power loss of the whole site, cold start", func() error {
		for _, n := range s.Nodes {
			n.PowerCut()
		}
		ctx, cancel := context.WithTimeout(s.Context(), patience)
		defer cancel()
		if err := s.Lab.Boot(ctx); err != nil {
			return err
		}
		return s.each(s.Nodes, func(n *lab.Node) error { return s.StartDaemon(ctx, n) })
	}, func() error { return errors.Join(nothing(), s.whole()) })
}

// clean asks the database and the file system themselves.
func (s *story) clean() {
	store := s.active("store-ip", s.stores)
	out, err := s.shell(store, "mariadb-check -S /run/mysqld/site.sock --silent wordpress")
	if err == nil && strings.TrimSpace(out) != "" {
		err = errors.New(out)
	}
	s.must("database check", err)
	s.must("stop of the storage services", s.do(store, "crm -w resource stop store")())
	_, err = s.shell(store, "e2fsck -fn /dev/drbd0")
	s.must("file system check", err)
}

// print writes the table.
func (s *story) print() {
	posts, pictures, comments, unsure := s.diary.Counts()
	fmt.Printf("\n%d posts, %d of them with a picture, %d comments acknowledged and read back; %d unsure; detect-within %v\n\n", posts, pictures, comments, unsure, s.DetectWithin)
	fmt.Printf("%-44s %9s %9s\n", "fault", "reads", "writes")
	for _, r := range s.rows {
		fmt.Printf("%-44s %7.2f s %7.2f s\n", r.name, r.reads.Seconds(), r.writes.Seconds())
	}
}
