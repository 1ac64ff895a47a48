package drill

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tsrun/pipeline/recipe"
)

// Kind is a kind of fault.
type Kind string

const (
	Kill Kind = "kill" // SIGKILL
	Stop Kind = "stop" // SIGSTOP, and SIGCONT later
	Cut  Kind = "cut"  // a node's link to the master carries nothing
	Slow Kind = "slow" // or carries late, unevenly, or little at a time
	Disk Kind = "disk" // files stop growing
)

// Kinds are all kinds of faults.
func Kinds() []Kind { return []Kind{Kill, Stop, Cut, Slow, Disk} }

// Roles of the processes of a run.
const (
	roleMaster = "master"
	roleSlave  = "slave"
	roleDriver = "driver"
	roleSink   = "sink"
)

// Ways in which a link fails.
const (
	closed    = "closed"     // connections are reset, new ones too
	blackHole = "black hole" // nothing passes, nobody is told
	halfOpen  = "half open"  // the master's end is reset, the node's stays
	late      = "delay"
	uneven    = "jitter" // each connection is late by a time of its own, so that one overtakes another
	narrow    = "rate"
)

// Target is a process of a run by what it does there, so that a plan names the
// same one whenever it is carried out.
type Target struct {
	Role string `json:"role"`           // master, slave, driver, sink
	Node string `json:"node,omitempty"` // "": the master
	Name string `json:"name,omitempty"` // of a controller or a sink of the recipe
}

func (t Target) String() string {
	switch {
	case t.Node == "":
		return t.Role
	case t.Name == "":
		return t.Role + " " + t.Node
	}
	return t.Role + " " + t.Node + "." + t.Name
}

// Fault is one thing that is done to a run.
type Fault struct {
	Kind   Kind          `json:"kind"`
	Target Target        `json:"target"`         // of a link: the slave at its end
	How    string        `json:"how,omitempty"`  // of a link: closed, black hole, half open, delay, jitter, rate
	State  string        `json:"state"`          // of the run when it is done
	Shot   int           `json:"shot,omitempty"` // in which the run is in that state; 0: the run takes one, or the state is of all
	After  time.Duration `json:"after_ns"`       // since that state began
	For    time.Duration `json:"for_ns"`         // until it is mended; of a kill: until what was killed is started anew
	Amount int64         `json:"amount,omitempty"`
}

func (f Fault) String() string {
	what := fmt.Sprintf("%s %v", f.Kind, f.Target)
	long := " for " + short(f.For)
	switch {
	case f.Kind == Kill:
		what, long = fmt.Sprintf("kill -9 %v", f.Target), ""
	case f.How == late:
		what = fmt.Sprintf("delay link of %s by %s", f.Target.Node, short(time.Duration(f.Amount)))
	case f.How == uneven:
		what = fmt.Sprintf("delay each connection of %s by itself, up to %s", f.Target.Node, short(time.Duration(f.Amount)))
	case f.How == narrow:
		what = fmt.Sprintf("limit link of %s to %d B/s", f.Target.Node, f.Amount)
	case f.Kind == Cut:
		what = fmt.Sprintf("cut link of %s (%s)", f.Target.Node, f.How)
	case f.Kind == Disk:
		what = fmt.Sprintf("no file of %v longer than %d B", f.Target, f.Amount)
	}
	state := f.State
	if f.Shot > 0 {
		state += fmt.Sprintf(" of shot %d", f.Shot)
	}
	return fmt.Sprintf("%s%s, %s into %s", what, long, short(f.After), state)
}

// moment is when the state of the fault begins.
func (f Fault) moment() moment { return moment{f.State, max(f.Shot, 1)} }

func short(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

// states of a run in which faults are done, in their order, and how often each
// is chosen.
var states = []struct {
	name   string
	weight int
}{{"joining", 1}, {"arming", 1}, {"armed", 1}, {"running", 6}, {"draining", 1}, {"transferring", 2}, {"analysing", 1}}

func stateIndex(name string) int {
	for i, s := range states {
		if s.name == name {
			return i
		}
	}
	return -1
}

const (
	leastFaults, mostFaults = 2, 4
	leastFor                = 100 * time.Millisecond
	longestStop             = 10 * time.Second
	longestCut              = 20 * time.Second
	longestRestart          = 3 * time.Second
	longestDelay            = time.Second
	leastRate, mostRate     = 12_500, 1_000_000 // bytes per second; the least is 100 kbit/s
	mostRoom                = 1 << 20           // bytes that a file may still have
	// shortState is how long states last in which nothing is recorded, at least;
	// shortest is the last one.
	shortState = 300 * time.Millisecond
	shortest   = 50 * time.Millisecond
)

// Plan makes the faults of one run from a seed. linked are the nodes that reach
// the master over a link; without one there are no faults of links. No fault lasts
// longer than longest, where that is more than 0.
func Plan(seed uint64, r *recipe.Recipe, kinds []Kind, linked []string, longest time.Duration) []Fault {
	if len(linked) == 0 {
		kinds = slices.DeleteFunc(slices.Clone(kinds), func(k Kind) bool { return k == Cut || k == Slow })
	}
	if len(kinds) == 0 {
		return nil
	}
	random := rand.New(rand.NewPCG(seed, 0x7473_7275_6e20_6472))
	plan := make([]Fault, leastFaults+random.IntN(mostFaults-leastFaults+1))
	for i := range plan {
		plan[i] = someFault(random, r, kinds[random.IntN(len(kinds))], linked)
	}
	inOrder(plan)
	reachable(random, plan, r, linked)
	placeInShot(random, plan, r.Acquire.Shots())
	if longest > 0 { // the same plan, only shorter
		for i := range plan {
			plan[i].For = min(plan[i].For, longest)
		}
	}
	return plan
}

// placeInShot has all faults of a plan done in one of the shots that the run takes, those
// before untouched: what was broken in one may be the end of all.
func placeInShot(random *rand.Rand, plan []Fault, shots int) {
	if shots == 1 {
		return
	}
	shot := 1 + random.IntN(shots)
	for i := range plan {
		switch plan[i].State {
		case "arming", "armed", "running", "draining": // of each shot
			plan[i].Shot = shot
		}
	}
}

func inOrder(plan []Fault) {
	slices.SortStableFunc(plan, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(stateIndex(a.State), stateIndex(b.State)), cmp.Compare(a.After, b.After))
	})
}

func someFault(random *rand.Rand, r *recipe.Recipe, k Kind, linked []string) Fault {
	f := Fault{Kind: k, State: someState(random)}
	within := shortState
	switch f.State {
	case "running":
		within = r.Acquire.Duration.Duration()
	case "analysing":
		within = shortest
	}
	f.After = time.Duration(random.Int64N(int64(within)))
	if k == Cut || k == Slow {
		f.Target = Target{Role: roleSlave, Node: linked[random.IntN(len(linked))]}
	} else {
		f.Target = oneOf(random, targetsIn(r, f.State, k))
	}
	switch k {
	case Kill:
		f.For = between(random, leastFor, longestRestart)
	case Stop:
		f.For = between(random, leastFor, longestStop)
	case Cut:
		f.How = oneOf(random, []string{closed, blackHole, halfOpen})
		f.For = between(random, leastFor, longestCut)
	case Slow:
		f.For = between(random, leastFor, longestCut)
		if f.How = oneOf(random, []string{late, uneven, narrow, narrow}); f.How == narrow {
			f.Amount = between[int64](random, leastRate, mostRate)
		} else {
			f.Amount = int64(between(random, 5*time.Millisecond, longestDelay))
		}
	case Disk:
		f.For = between(random, leastFor, longestStop)
		f.Amount = between[int64](random, 1, mostRoom)
	}
	return f
}

func oneOf[T any](random *rand.Rand, of []T) T { return of[random.IntN(len(of))] }

func someState(random *rand.Rand) string {
	total := 0
	for _, s := range states {
		total += s.weight
	}
	at := random.IntN(total)
	for _, s := range states {
		if at -= s.weight; at < 0 {
			return s.name
		}
	}
	return states[0].name
}

// between chooses so that each factor of two is as likely as another.
func between[N ~int64](random *rand.Rand, least, most N) N {
	return N(float64(least) * math.Pow(float64(most)/float64(least), random.Float64()))
}
