package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// TestFullDisk fills a disk while tags come. The master's ends the recording of all
// nodes, that of a remote slave its own. What was recorded by then is here and whole.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, whose := range []string{"master", "slave"} {
		t.Run(whose, func(t *testing.T) {
			t.Parallel()
			small := need.Disk(t, "64m")
			master, far := small, t.TempDir()
			if whose == "slave" {
				master, far = far, small
			}
			own := need.Address(t) // a remote node's master is not told to be on the loopback
			args := []string{hurried(t, "pace: 100 ms", "pace: 100 ms", "acquire: {duration: 10 min, segment: 500 ms}"),
				"--set", "nodes.bob.host=remote", "--set", "network.master=" + own, "--set", "network.insecure=true", "--set", "faults.disk_below=24 MiB",
				"--set", fmt.Sprintf("network.ports.clock=%d", ownPort(t, own))}
			var status string
			for _, name := range []string{"trigger", "files", "status"} {
				l, err := net.Listen("tcp", own+":0")
				if err != nil {
					t.Fatal(err)
				}
				_, status, _ = net.SplitHostPort(l.Addr().String())
				l.Close()
				args = append(args, "--set", "network.ports."+name+"="+status)
			}
			p := start(t, master, nil, args...)
			slave := start(t, far, nil, "--mode", "slave", "--node", "bob", "--once", "--tls", "off", "--master", net.JoinHostPort(own, status))
			says := func(what string) {
				t.Helper()
				eventually(t, 60*time.Second, what, func() bool { return strings.Contains(p.stderr.String(), what) })
			}
			says("bob: 1")
			if err := os.WriteFile(filepath.Join(small, "filler"), make([]byte, 44<<20), 0o600); err != nil { // of 64 MiB: less than 24 are left
				t.Fatal(err)
			}
			says("faults.disk_below is 24.0 MiB")
			code := 3
			if whose == "slave" { // alice goes on
				code = 130
				if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
					t.Fatal(err)
				}
			}
			if got := p.wait(60 * time.Second); got != code {
				t.Errorf("exit code %d, want %d\n%s\nslave:\n%s", got, code, p.stderr.String(), slave.stderr.String())
			}
			dir, m := latest(t, master)
			checkEndedByDisk(t, m, whose)
			if r := runTsrun(t, master, "verify", dir); r.code != 0 {
				t.Errorf("verify: exit code %d\n%s%s", r.code, r.stderr, r.stdout)
			}
			if code := slave.wait(30 * time.Second); code != 0 && whose == "master" {
				t.Errorf("the slave's exit code is %d\n%s", code, slave.stderr.String())
			}
		})
	}
}

func checkEndedByDisk(t *testing.T, m *run.Manifest, whose string) {
	t.Helper()
	says, node := fmt.Sprint(m.Reasons), map[string]string{"master": "", "slave": "bob"}[whose]
	if !strings.Contains(says, "INCOMPLETE "+node+" ") && node != "" || !strings.Contains(says, "faults.disk_below is 24.0 MiB") {
		t.Errorf("the reasons do not tell of the disk: %s", says)
	}
	for _, s := range m.Segments {
		if !s.Verified {
			t.Errorf("%s was recorded and is not here", s.File)
		}
	}
	for name, n := range m.Nodes {
		for channel, c := range n.Channels {
			if c.LengthPs == 0 || len(m.Segments) == 0 {
				t.Errorf("%s.%s recorded nothing", name, channel)
			}
		}
	}
}

// TestResumeExecutesStagesAgain: results that could not be written are no reason to measure
// again: the run says so, and tsrun resume executes its stages when they can be.
func TestResumeExecutesStagesAgain(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	p := start(t, work, nil, hurried(t, "pace: 100 ms", "pace: 100 ms", `acquire: {duration: 10 min, segment: 500 ms}
pipeline: [{stage: rates, config: {of: [alice.a], bin: 100 ms}}]`))
	eventually(t, 60*time.Second, "progress", func() bool { return strings.Contains(p.stderr.String(), "alice: 1") })
	dir, _ := latest(t, work)
	results := filepath.Join(dir, run.ResultsDir)
	if err := os.Remove(results); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(results, nil, 0o600); err != nil { // in which nothing can be written, not by root either
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	p.wait(60 * time.Second)
	if _, m := latest(t, work); len(m.Results) != 0 || !strings.Contains(reasons(m), "tsrun resume executes the stages again") {
		t.Errorf("%d results, %s\n%s", len(m.Results), reasons(m), p.stderr.String())
	}
	if err := os.Remove(results); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(results, 0o777); err != nil {
		t.Fatal(err)
	}
	r := runTsrun(t, work, "resume", dir)
	_, m := latest(t, work)
	if len(m.Results) != 1 || len(m.Results[0].Files) == 0 || strings.Contains(reasons(m), "analysis:") {
		t.Errorf("exit code %d, %d results, %s\n%s", r.code, len(m.Results), reasons(m), r.stderr)
	}
	if r := runTsrun(t, work, "verify", dir); r.code != 0 {
		t.Errorf("verify: exit code %d\n%s%s", r.code, r.stderr, r.stdout)
	}
	if r := runTsrun(t, work, "resume", dir); !strings.Contains(r.stderr+r.stdout, "nothing is changed") {
		t.Errorf("again: exit code %d\n%s%s", r.code, r.stderr, r.stdout)
	}
}
