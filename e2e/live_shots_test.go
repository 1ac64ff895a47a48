package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// listens subscribes with the real libzmq, once it is told to, and prints what came.
const listens = `
import json, sys, numpy as np, zmq
context = zmq.Context()
socket = context.socket(zmq.SUB)
socket.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
socket.setsockopt(zmq.SUBSCRIBE, b"")
socket.setsockopt(zmq.RCVTIMEO, 60000)
kind = ""
while kind != "end":
    _, head, *tags = socket.recv_multipart()
    head = json.loads(head)
    kind = head["kind"]
    if kind == "tags":
        times, channel = np.frombuffer(tags[0], "<i8"), np.frombuffer(tags[1], "<u2")
        head["sorted"] = bool((np.diff(times) >= 0).all())
        head["first"], head["last"] = (int(times[0]), int(times[-1])) if len(times) else (None, None)
        head["counts"] = np.bincount(channel, minlength=len(head["channels"])).tolist()
        head["sum"] = int(times.sum())
    print(json.dumps(head), flush=True)
context.destroy()
`

// told is a message as such a listener prints it.
type told struct {
	Kind        string
	Seq         int
	Shot        int
	ShotFrom    int64 `json:"shot_from_ps"`
	UntilPs     int64 `json:"until_ps"`
	Sorted      bool
	First, Last *int64
	Counts      []int
	Sum         int64
}

// listener is one, which waits to be told.
type listener struct {
	cmd  *exec.Cmd
	tell io.WriteCloser
	out  *lockedBuffer
}

func startListener(t *testing.T, address string) listener {
	t.Helper()
	need.Python(t, "numpy", "python3-numpy")
	l := listener{cmd: exec.Command(need.Python(t, "zmq", "python3-zmq"), "-B", "-c", listens, address), out: &lockedBuffer{}}
	l.cmd.Stdout, l.cmd.Stderr = l.out, l.out
	var err error
	if l.tell, err = l.cmd.StdinPipe(); err == nil {
		err = l.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.cmd.Process.Kill() })
	eventually(t, 60*time.Second, "it is ready", func() bool { return strings.Contains(l.out.String(), "ready") })
	return l
}

// all waits for its end and returns what it heard; not whole if it heard no end.
func (l listener) all(t *testing.T) (all []told, whole bool) {
	t.Helper()
	late := time.AfterFunc(2*time.Minute, func() { l.cmd.Process.Kill() })
	defer late.Stop()
	err := l.cmd.Wait()
	lines := bufio.NewScanner(strings.NewReader(l.out.String()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m told
		if json.Unmarshal(lines.Bytes(), &m) == nil && m.Kind != "" {
			all = append(all, m)
		}
	}
	return all, err == nil
}

// TestLiveShots merges three shots of two nodes while they are taken: in order, each with
// its own clock, with the gaps between them told. Who comes in a later shot hears the rest.
func TestLiveShots(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	address := "ipc://" + filepath.Join(work, "live")
	recipe := write(t, filepath.Join(work, "shots.yaml"), strings.NewReplacer("{duration: 300 ms, segment: 200 ms, repeat: 3}", "{duration: 700 ms, segment: 200 ms, repeat: 3}",
		"sinks:\n", "sinks:\n  live: {sink: live, takes: merged, config: {address: \""+address+"\"}}\n").Replace(shotsRecipe))
	first, second := startListener(t, address), startListener(t, address)
	io.WriteString(first.tell, "\n")
	p := start(t, work, nil, append([]string{recipe, "--set", "trigger.lead=3 s"}, freePorts...)...)
	eventually(t, 2*time.Minute, "a later shot is heard", func() bool { return strings.Contains(first.out.String(), `"shot": 2`) })
	io.WriteString(second.tell, "\n")
	if code := p.wait(2 * time.Minute); code != 0 && code != 3 { // 3: this PC was held up
		t.Fatalf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	_, m := latest(t, work)
	if m.Has(run.Incomplete) && !heldUp(m) || len(m.Trigger.Shots) != 3 {
		t.Fatalf("%s", reasons(m))
	}
	all, whole := first.all(t)
	if !whole {
		t.Fatalf("%.2000s", first.out.String())
	}
	checkShots(t, all, m)
	rest, whole := second.all(t)
	if !whole {
		t.Logf("on this PC it came too late: %d messages", len(rest))
	}
	for i, r := range rest {
		if a := all[r.Seq]; r.Seq != rest[0].Seq+i || r.Shot < 2 && r.Kind == "tags" || a.Sum != r.Sum || a.UntilPs != r.UntilPs || a.Shot != r.Shot {
			t.Errorf("message %d of who came later is %+v, and not %+v", i, r, a)
		}
	}
}

// checkShots compares what was heard with the run.
func checkShots(t *testing.T, all []told, m *run.Manifest) {
	t.Helper()
	shots, tags, last, until := map[int]int{}, 0, int64(-1<<62), int64(-1<<62)
	for i, one := range all {
		if one.Seq != i {
			t.Fatalf("message %d is there as %d", one.Seq, i)
		}
		if one.Kind != "tags" {
			continue
		}
		if take := m.Nodes["alice"].Takes[one.Shot-1]; one.ShotFrom != int64(take.At) || !one.Sorted {
			t.Errorf("message %d: %+v, the shot began at %d ps", i, one, take.At)
		}
		// A node that a busy PC holds up begins late; shots are more than 3 s apart.
		if one.First != nil && (*one.First < last || *one.First < until || *one.First < one.ShotFrom-1e12 || *one.Last > one.ShotFrom+1.7e12) {
			t.Errorf("message %d: %+v from %d to %d, behind %d, promised %d", i, one, *one.First, *one.Last, last, until)
		}
		if until = one.UntilPs; one.Last != nil {
			last = *one.Last
		}
		for _, n := range one.Counts {
			shots[one.Shot], tags = shots[one.Shot]+n, tags+n
		}
	}
	own := map[int]int{}
	for _, s := range m.Segments {
		own[s.Part+1] += int(s.Tags)
	}
	l := m.Live[0]
	if len(shots) != 3 || uint64(tags) != l.Tags || l.Late != 0 || l.Tags+l.Withheld != tagsOfRun(m) {
		t.Errorf("%v: %d tags, %+v; the run has %d", shots, tags, l, tagsOfRun(m))
	}
	for shot, n := range own {
		if l.Withheld == 0 && shots[shot] != n {
			t.Errorf("%d tags of shot %d were heard, it has %d", shots[shot], shot, n)
		}
	}
}
