package recipe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tsrun/sdk"
)

// LocalPart are the overrides by which a recipe becomes the part of one of its nodes
// alone, which that PC executes without any other: the other nodes and all that names
// them are deleted, and so are the stages. others names these nodes. timed: it is to begin
// at a given time.
func (r *Recipe) LocalPart(node string, timed bool) (part, others []string, err error) {
	i := slices.IndexFunc(r.Nodes, func(n Node) bool { return n.Name == node })
	switch {
	case i < 0:
		var names []string
		for _, n := range r.Nodes {
			names = append(names, n.Name)
		}
		return nil, nil, &sdk.Failure{Code: "unknown-node", Message: fmt.Sprintf("the recipe has no node %q", node),
			Hint: "write --node and one of: " + strings.Join(names, ", ")}
	case r.Trigger.Method == "hardware" && r.Trigger.Master != node:
		return nil, nil, &sdk.Failure{Code: "no-pulse", Field: "trigger.method", Message: fmt.Sprintf("a START pulse that %s makes starts the controllers of %s", r.Trigger.Master, node),
			Hint: "start them at an instant: --set trigger.method=scheduled"}
	case r.Trigger.Method == "hardware" && timed:
		return nil, nil, &sdk.Failure{Code: "no-instant", Field: "trigger.method", Message: "a START pulse starts the controllers, at no given time",
			Hint: "leave --at out, or start them at an instant: --set trigger.method=scheduled"}
	}
	if r.Trigger.OnReceipt() && timed {
		return nil, nil, &sdk.Failure{Code: "no-instant", Field: "trigger.method", Message: "the controllers start when the order is there, at no given time",
			Hint: "leave --at out, or start them at an instant: --set trigger.method=scheduled"}
	}
	part = []string{"name=" + localName(r.Name, node), "nodes." + node + ".host=local", "trigger.master=" + node,
		"network={master: " + loopback + ", ports: {trigger: 0, status: 0, files: 0}}"}
	fixed := len(part)
	if len(r.Stages) > 0 {
		part = append(part, "pipeline=null")
	}
	for _, n := range r.Nodes {
		if n.Name != node {
			part, others = append(part, "nodes."+n.Name+"=null"), append(others, n.Name)
		}
	}
	part = append(part, without("trigger.compensation", slices.Collect(maps.Keys(r.Trigger.Compensation)), func(name string) bool { return name == node })...)
	var expected []string
	for _, e := range r.Expect {
		expected = append(expected, e.Channel)
	}
	part = append(part, without("expect", expected, func(channel string) bool { return strings.HasPrefix(channel, node+".") })...)
	if r.Simulate != nil {
		for name := range r.Simulate.Nodes {
			if name != node {
				part = append(part, "simulate."+name+"=null")
			}
		}
	}
	for _, l := range r.Live {
		part = append(part, "sinks."+l.Name+"=null") // it takes those of all nodes
	}
	for _, s := range r.ResultSinks {
		part = append(part, "sinks."+s.Name+"=null") // a part has no stages
	}
	sinks, err := r.localSinks(r.Nodes[i])
	slices.Sort(part[fixed:])
	return append(part, sinks...), others, err
}

// without are the overrides that leave those entries of a section that are kept; a
// section of none is no section.
func without(section string, entries []string, kept func(string) bool) (part []string) {
	if len(entries) > 0 && !slices.ContainsFunc(entries, kept) {
		return []string{section + "=null"}
	}
	for _, name := range entries {
		if !kept(name) {
			part = append(part, section+"."+name+"=null")
		}
	}
	return part
}

// localSinks are the overrides that leave what a node's own sinks take.
func (r *Recipe) localSinks(n Node) (part []string, err error) {
	kept := 0
	for _, s := range r.Sinks {
		var takes []string
		for _, c := range n.Channels {
			if s.Keeps(n.Name + "." + c.Name) {
				takes = append(takes, n.Name+"."+c.Name)
			}
		}
		if s.At != "source" && s.At != n.Name || len(takes) == 0 {
			part = append(part, "sinks."+s.Name+"=null")
			continue
		}
		if kept++; len(s.Takes) > 0 {
			part = append(part, "sinks."+s.Name+".takes=["+strings.Join(takes, ", ")+"]")
		}
	}
	if kept == 0 {
		return nil, errors.New("no sink of the recipe takes a channel of " + n.Name + " there, so nothing would be kept")
	}
	return part, nil
}

// loopback is an address that no other PC reaches.
const loopback = "127.0.0.1"

// localName is the name of a node's part of a recipe: at most as long as names are.
func localName(name, node string) string {
	const longest = 32
	return name[:min(len(name), max(1, longest-1-len(node)))] + "_" + node[:min(len(node), longest-2)]
}
