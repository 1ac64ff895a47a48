package recipe

import "slices"

// derive writes the defaults that depend on the rest of a recipe into it, as
// if they stood there: the master of a single node, any free port where no
// other PC has to know it, the names of stages, and the simulation of
// controllers whose address is sim.
func derive(root *node) {
	if stages := root.get("pipeline"); stages != nil {
		for _, stage := range stages.items {
			if kind := stage.get("stage"); kind != nil && kind.kind == scalarNode && stage.entry("name") == nil {
				stage.put(scalarEntry("name", kind.text))
			}
		}
	}
	nodes := root.get("nodes")
	if nodes == nil || nodes.kind != mapNode {
		return
	}
	isName := func(key string) bool { // what is none is said where it stands
		message, _ := nodeForm.check(key)
		return message == ""
	}
	if len(nodes.entries) == 1 && isName(nodes.entries[0].key) {
		if trigger := section(root, "trigger"); trigger != nil && trigger.entry("master") == nil {
			trigger.put(scalarEntry("master", nodes.entries[0].key))
		}
	}
	if !slices.ContainsFunc(nodes.entries, remote) {
		freePorts(root)
	}
	for _, e := range nodes.entries {
		if isName(e.key) && simulated(e.value) {
			if simulate := section(root, "simulate"); simulate != nil {
				section(simulate, e.key)
			}
		}
	}
}

// remote reports whether a node is on another PC, or may be: its host is no
// known word.
func remote(e entry) bool {
	host := e.value.get("host")
	return host != nil && host.text != "local"
}

// freePorts lets the system choose the ports that the recipe does not name.
func freePorts(root *node) {
	network := section(root, "network")
	if network == nil {
		return
	}
	ports := section(network, "ports")
	if ports == nil {
		return
	}
	for _, name := range []string{"trigger", "status", "files"} {
		if ports.entry(name) == nil {
			ports.put(scalarEntry(name, "0"))
		}
	}
}

// simulatedAddress is what stands for an address where a controller is
// simulated.
const simulatedAddress = "sim"

// simulated reports whether a node has a simulated controller.
func simulated(n *node) bool {
	controllers := n.get("controllers")
	if controllers == nil {
		return false
	}
	for _, e := range controllers.entries {
		if config := e.value.get("config"); config != nil {
			if address := config.get("address"); address != nil && address.text == simulatedAddress {
				return true
			}
		}
	}
	return false
}

// section returns a section of n, made where it is missing, or nil where
// something else stands in its place.
func section(n *node, key string) *node {
	if n.entry(key) == nil {
		n.put(entry{key: key, value: &node{kind: mapNode}})
	}
	if found := n.get(key); found.kind == mapNode {
		return found
	}
	return nil
}

func scalarEntry(key, text string) entry {
	return entry{key: key, value: &node{kind: scalarNode, text: text}}
}
