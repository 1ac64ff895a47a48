package recipe

import "regexp"

// reserved are names that tsrun or the system has taken already, where a name becomes a
// folder, a file, a subject or a word of the recipe. Names have no capital letters, so
// that none differs from another by case alone.
type reserved struct {
	pattern *regexp.Regexp
	why     string
}

func taken(pattern, why string) reserved {
	return reserved{regexp.MustCompile(`^(` + pattern + `)$`), why}
}

var (
	device = taken(`con|prn|aux|nul|(com|lpt)[0-9]`, "Windows has a device of this name, and the run directory could not be copied there")

	reservedNodes = []reserved{
		taken(`source`, "sinks say at: source where every node is meant"),
		taken(`seed|pairs`, "simulate has a key of this name, beside those of nodes"),
		taken(`results`, "what stages find goes to a NATS server under PREFIX.RUN.results, where this node's tags would go"),
		taken(`merged`, "the merged tags go to a NATS server under PREFIX.RUN.merged, where this node's tags would go"),
		device,
	}
	reservedSinks = []reserved{
		taken(`clock`, "raw/NODE/clock holds the record of a node's clock, where this sink's files would be"),
		taken(`(shot|again)-[0-9]+`, "raw/NODE/shot-2 and again-1 hold what a node recorded later, where this sink's files would be"),
		device,
	}
	reservedStages = []reserved{
		taken(`results|merged`, "sinks take what all stages find, or the merged tags, by this word"),
		device,
	}
)
