package drill

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"tsrun/pipeline/recipe"
	"tsrun/sdk/quantity"
)

// pairs is a recipe of two nodes, with a sink that only one of them has.
func pairs() *recipe.Recipe {
	r := &recipe.Recipe{Name: "pairs"}
	for _, name := range []string{"alice", "bob"} {
		r.Nodes = append(r.Nodes, recipe.Node{Name: name, Host: "local",
			Controllers: []recipe.Controller{{Name: "tc", Driver: "tc-x"}}, Channels: []recipe.Channel{{Name: "a", Controller: "tc"}}})
	}
	r.Trigger.Master = "alice"
	r.Acquire.Duration = quantity.Time(2e12)
	r.Sinks = []recipe.Sink{{Name: "raw", Sink: "sink-x", At: "source"}, {Name: "more", Sink: "sink-x", At: "bob"}}
	return r
}

// TestPlanFollowsFromTheSeed alone, and keeps to what was asked.
func TestPlanFollowsFromTheSeed(t *testing.T) {
	r := pairs()
	seen := map[string]int{}
	targets := map[Target]int{}
	for seed := range uint64(400) {
		plan := Plan(seed, r, Kinds(), []string{"bob"}, 0)
		if !reflect.DeepEqual(plan, Plan(seed, pairs(), Kinds(), []string{"bob"}, 0)) {
			t.Fatalf("seed %d makes two plans", seed)
		}
		for i, f := range Plan(seed, r, Kinds(), []string{"bob"}, time.Second) { // the same, only shorter
			if want := plan[i]; f.For != min(want.For, time.Second) || f.State != want.State || f.After != want.After || f.Target != want.Target {
				t.Errorf("seed %d: %v, want %v within 1 s", seed, f, want)
			}
		}
		if len(plan) < 2 || len(plan) > 4 {
			t.Fatalf("seed %d: %d faults", seed, len(plan))
		}
		for i, f := range plan {
			seen[string(f.Kind)]++
			seen[f.State]++
			seen[f.How]++
			targets[f.Target]++
			longest := map[Kind]time.Duration{Kill: 3 * time.Second, Stop: 10 * time.Second, Cut: 20 * time.Second, Slow: 20 * time.Second, Disk: 10 * time.Second}[f.Kind]
			if f.For < 100*time.Millisecond || f.For > longest || f.After < 0 || f.After >= 2*time.Second {
				t.Errorf("seed %d: %v", seed, f)
			}
			if i > 0 && stateIndex(f.State) < stateIndex(plan[i-1].State) {
				t.Errorf("seed %d is not in order: %v", seed, plan)
			}
			if (f.Kind == Cut || f.Kind == Slow) && f.Target != (Target{Role: roleSlave, Node: "bob"}) || f.Kind == Disk && f.Target.Role == roleDriver {
				t.Errorf("seed %d: %v", seed, f)
			}
		}
	}
	for _, want := range []string{"kill", "stop", "cut", "slow", "disk", closed, blackHole, halfOpen, late, uneven, narrow, "joining", "arming", "armed", "running", "draining", "transferring", "analysing"} {
		if seen[want] < 10 {
			t.Errorf("%q stands %d times in 400 plans", want, seen[want])
		}
	}
	if len(targets) != 8 { // master; slave, driver and sink of each; more
		t.Errorf("targets: %v", targets)
	}
}

// TestPlanOfShots: each run is broken in one of its shots, whichever, and where there is
// one the plan is what it was.
func TestPlanOfShots(t *testing.T) {
	r := pairs()
	r.Acquire.Repeat = 3
	seen := map[int]int{}
	for seed := range uint64(100) {
		shot := 0
		for i, f := range Plan(seed, r, Kinds(), []string{"bob"}, 0) {
			of := f
			of.Shot = 0
			if want := Plan(seed, pairs(), Kinds(), []string{"bob"}, 0)[i]; of != want {
				t.Fatalf("seed %d: %v, want %v", seed, f, want)
			}
			perShot := f.State == "arming" || f.State == "armed" || f.State == "running" || f.State == "draining"
			if perShot != (f.Shot > 0) || f.Shot > 3 || f.Shot > 0 && shot > 0 && f.Shot != shot {
				t.Errorf("seed %d: %v, with others in shot %d", seed, f, shot)
			}
			shot = max(shot, f.Shot)
		}
		seen[shot]++
	}
	if seen[1] < 15 || seen[2] < 15 || seen[3] < 15 {
		t.Errorf("shots %v", seen)
	}
}

// TestMarksCountStates: a state that begins again is another moment.
func TestMarksCountStates(t *testing.T) {
	m := newMarks()
	has := func(state string, nth int) bool {
		select {
		case <-m.at(moment{state, nth}):
			return true
		default:
			return false
		}
	}
	for _, text := range []string{`{"event":"state","state":"running"}`, `{"event":"state","state":"draining"}`, `{"event":"state","state":"ru`, `{"event":"sync","state":"armed"}`} {
		m.line([]byte(text))
	}
	if has("running", 2) {
		t.Error("the second began before it did")
	}
	m.line([]byte(`{"event":"state","state":"running"}`))
	if !has("running", 1) || !has("running", 2) || has("running", 3) || !has("draining", 1) || has("armed", 1) {
		t.Errorf("%v", m.count)
	}
}

func TestPlanKeepsToTheKinds(t *testing.T) {
	for seed := range uint64(50) {
		for _, f := range Plan(seed, pairs(), []Kind{Kill, Cut}, nil, 0) {
			if f.Kind != Kill {
				t.Fatalf("without a link: %v", f)
			}
		}
	}
	if plan := Plan(1, pairs(), []Kind{Cut, Slow}, nil, 0); len(plan) != 0 {
		t.Errorf("links alone, and no link: %v", plan)
	}
}

// TestPlansCanBeDone: no fault is done to what is not there any more, or after the end.
func TestPlansCanBeDone(t *testing.T) {
	linked := []string{"bob"}
	at := func(role, node, name string) Target { return Target{role, node, name} }
	for seed := range uint64(2000) {
		plan := Plan(seed, pairs(), Kinds(), linked, 0)
		dead := map[Target]bool{}
		over := false
		for i, f := range plan {
			link := f.Kind == Cut || f.Kind == Slow
			if dead[f.Target] || over && f.State != plan[i-1].State || !link && !slices.Contains(targetsIn(pairs(), f.State, f.Kind), f.Target) {
				t.Errorf("seed %d: %v", seed, plan)
			}
			if f.Kind != Kill {
				continue
			}
			over = over || ends(f, linked)
			switch f.Target {
			case at(roleMaster, "", ""), at(roleSlave, "alice", ""):
				dead[at(roleDriver, "alice", "tc")], dead[at(roleSink, "alice", "raw")] = true, true
			case at(roleSlave, "bob", ""):
				dead[at(roleDriver, "bob", "tc")], dead[at(roleSink, "bob", "raw")], dead[at(roleSink, "bob", "more")] = true, true, true
			case at(roleDriver, "alice", "tc"), at(roleDriver, "bob", "tc"):
				dead[f.Target] = true
			}
		}
	}
	for f, want := range map[Fault]bool{
		{Kind: Kill, State: "arming", Target: at(roleDriver, "bob", "tc")}:  true,
		{Kind: Kill, State: "joining", Target: at(roleSlave, "alice", "")}:  true,
		{Kind: Kill, State: "joining", Target: at(roleSlave, "bob", "")}:    false,
		{Kind: Kill, State: "running", Target: at(roleDriver, "bob", "tc")}: false,
		{Kind: Stop, State: "arming", Target: at(roleDriver, "bob", "tc")}:  false,
	} {
		if got := ends(f, linked); got != want {
			t.Errorf("%v ends the run: %v", f, got)
		}
	}
}

func TestFaultsInWords(t *testing.T) {
	bob := Target{Role: roleSlave, Node: "bob"}
	for want, f := range map[string]Fault{
		"kill -9 sink bob.raw, 1.2s into running":                                    {Kind: Kill, Target: Target{roleSink, "bob", "raw"}, State: "running", After: 1200 * time.Millisecond, For: time.Second},
		"stop master for 2s, 0s into armed":                                          {Kind: Stop, Target: Target{Role: roleMaster}, State: "armed", For: 2 * time.Second},
		"cut link of bob (half open) for 1s, 0s into running":                        {Kind: Cut, Target: bob, How: halfOpen, State: "running", For: time.Second},
		"delay link of bob by 50ms for 1s, 0s into running":                          {Kind: Slow, Target: bob, How: late, Amount: 50e6, State: "running", For: time.Second},
		"delay each connection of bob by itself, up to 50ms for 1s, 0s into running": {Kind: Slow, Target: bob, How: uneven, Amount: 50e6, State: "running", For: time.Second},
		"limit link of bob to 12500 B/s for 1s, 0s into running":                     {Kind: Slow, Target: bob, How: narrow, Amount: 12500, State: "running", For: time.Second},
		"no file of slave bob longer than 17 B for 1s, 0s into draining":             {Kind: Disk, Target: bob, Amount: 17, State: "draining", For: time.Second},
	} {
		if got := f.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	all := slices.Sorted(slices.Values([]string{string(Kill), string(Stop), string(Cut), string(Slow), string(Disk)}))
	if len(all) != len(Kinds()) {
		t.Errorf("kinds: %v", Kinds())
	}
}
