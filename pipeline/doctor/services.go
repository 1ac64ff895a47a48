package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/recipe"
	"tsrun/sdk/instrument"
)

// servicesWithin is how long services are asked: most ptp4l say something new once a second, and a
// few readings are one standing.
const servicesWithin = 5500 * time.Millisecond

// keepers asks the services that a run would ask how this PC's clock stands, and those that are there
// where no recipe says which.
func keepers(ctx context.Context, o Options) (found []Finding) {
	from, wanted := clock.Options{Source: "auto"}, ""
	if o.Run.Recipe != nil {
		r := o.Run.Recipe.Recipe
		if !slices.ContainsFunc(r.Nodes, func(n recipe.Node) bool { return n.Host != "local" }) {
			return nil // they have one clock, and nobody asks
		}
		from = clock.Options{Source: r.Clock.Source, Socket: r.Clock.Socket, Domain: r.Clock.Domain}
		if from.Source == clock.PTP || from.Source == clock.Chrony {
			wanted = from.Source
		}
	}
	ctx, cancel := context.WithTimeout(ctx, servicesWithin)
	defer cancel()
	services := clock.NewServices(from)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = services.Run(ctx) }() // ends with ctx
	standings := services.Standings()
	for !heard(services, standings) && instrument.Pause(ctx, 100*time.Millisecond) {
		standings = services.Standings()
	}
	cancel()
	<-ended
	for _, source := range []string{clock.PTP, clock.Chrony} {
		i := slices.IndexFunc(standings, func(s clock.Standing) bool { return s.Source == source })
		switch {
		case i >= 0:
			found = append(found, keeper(source, &standings[i], "", wanted == source))
		case wanted == source:
			found = append(found, keeper(source, nil, services.Why(source), true))
		}
	}
	return found
}

// heard reports whether each service has said something, or why it does not.
func heard(services *clock.Services, standings []clock.Standing) bool {
	for _, source := range services.Asked() {
		if services.Why(source) == "" && !slices.ContainsFunc(standings, func(s clock.Standing) bool { return s.Source == source }) {
			return false
		}
	}
	return true
}

// keeper says how this PC's clock stands by a service; nil: it has said nothing, and why. wanted: a
// run starts by it alone.
func keeper(source string, s *clock.Standing, why string, wanted bool) Finding {
	f := Finding{About: "clock", What: map[string]string{clock.PTP: "ptp4l", clock.Chrony: "chronyd"}[source], State: Good}
	if wanted {
		f.Wanted, f.Why = "it follows the reference of the other PC's", fmt.Sprintf("clock.source: %s starts by it", source)
	}
	switch {
	case s != nil && s.Lost == "":
		f.Measured = fmt.Sprintf("%s; by %s this clock is off by %s, known to %s", s.State, s.Reference, micro(s.Offset), micro(s.Bound))
		return f
	case s != nil:
		f.Measured = s.Lost
	case why != "":
		f.Measured = why
	default:
		f.Measured = fmt.Sprintf("it has said too little within %v", servicesWithin)
	}
	f.State, f.Do = Notable, "nothing, where the probe may do: clock.source: auto takes it"
	if wanted {
		f.State, f.Do = Refused, clock.ServicesHint
	}
	return f
}
