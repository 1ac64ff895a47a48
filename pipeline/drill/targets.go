package drill

import (
	"math/rand/v2"
	"slices"
	"time"

	"tsrun/pipeline/recipe"
)

// targetsOf are the processes of a recipe's run.
func targetsOf(r *recipe.Recipe) []Target {
	targets := []Target{{Role: roleMaster}}
	for _, n := range r.Nodes {
		targets = append(targets, Target{Role: roleSlave, Node: n.Name})
		for _, c := range n.Controllers {
			targets = append(targets, Target{roleDriver, n.Name, c.Name})
		}
		for _, s := range sinksAt(r, n) {
			targets = append(targets, Target{roleSink, n.Name, s.Name})
		}
	}
	return targets
}

// sinksAt are the sinks that a node has.
func sinksAt(r *recipe.Recipe, n recipe.Node) (sinks []recipe.Sink) {
	for _, s := range r.Sinks {
		takes := slices.ContainsFunc(n.Channels, func(c recipe.Channel) bool { return s.Keeps(n.Name + "." + c.Name) })
		if takes && (s.At == "source" || s.At == n.Name) {
			sinks = append(sinks, s)
		}
	}
	return sinks
}

// targetsIn are the processes that there are in a state, and to which a kind of
// fault can be done.
func targetsIn(r *recipe.Recipe, state string, k Kind) []Target {
	return slices.DeleteFunc(targetsOf(r), func(t Target) bool {
		switch t.Role {
		case roleDriver: // it keeps no files
			return k == Disk || stateIndex(state) > stateIndex("running")
		case roleSink:
			return stateIndex(state) > stateIndex("draining")
		}
		return false
	})
}

// reachable changes a plan, which is in its order, where a fault could not be done
// after those before it: what is to be broken was killed and is not started anew, or
// the run is over.
func reachable(random *rand.Rand, plan []Fault, r *recipe.Recipe, linked []string) {
	if last := slices.IndexFunc(plan, func(f Fault) bool { return ends(f, linked) }); last >= 0 {
		plan[last].After += shortest
		at := plan[last]
		for i := last + 1; i < len(plan); i++ { // into the time before the end
			f := &plan[i]
			f.State, f.After = at.State, time.Duration(random.Int64N(int64(at.After)))
			if there := targetsIn(r, f.State, f.Kind); !slices.Contains(there, f.Target) && f.Kind != Cut && f.Kind != Slow {
				f.Target = oneOf(random, there)
			}
		}
		inOrder(plan)
	}
	dead := map[Target]bool{}
	for i := range plan {
		f := &plan[i]
		if dead[f.Target] {
			f.Target = oneOf(random, slices.DeleteFunc(targetsIn(r, f.State, f.Kind), func(t Target) bool { return dead[t] }))
		}
		if f.Kind == Kill {
			for _, t := range targetsOf(r) {
				dead[t] = dead[t] || diesWith(t, f.Target, linked)
			}
		}
	}
}

// ends says whether a fault ends a run: of what is killed before the recording only
// the slave of a remote node has its place again.
func ends(f Fault, linked []string) bool {
	remote := f.Target.Role == roleSlave && slices.Contains(linked, f.Target.Node)
	return f.Kind == Kill && stateIndex(f.State) < stateIndex("running") && !remote
}

// diesWith says whether a process ends with one that is killed, and is not started
// anew. A master is, by tsrun resume; slaves are; and sinks that are killed themselves.
func diesWith(t, killed Target, linked []string) bool {
	plugin := t.Role == roleDriver || t.Role == roleSink
	switch killed.Role {
	case roleMaster:
		return plugin && !slices.Contains(linked, t.Node)
	case roleSlave:
		return plugin && t.Node == killed.Node
	case roleDriver:
		return t == killed
	}
	return false
}
