package slave

import (
	"context"
	"fmt"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/wire"
	"tsrun/sdk/quantity"
)

const (
	// questions are asked of a device before the run, to time its commands: the median of
	// so many is off by a sixth of what two of three lie within.
	questions = 64
	// timingTimeout bounds how long that may take.
	timingTimeout = 10 * time.Second
	mostEarly     = int64(recipe.MaxCompensation / quantity.Nanosecond)
)

// early is how much earlier than the instant a controller is fired, and how long its
// answer takes where that tells when it began.
type early struct {
	fact.Compensation
	back *int64
	took []int64 // how long the newest starts took, from the command to the begin, in ns
}

// compensate works out how much earlier each controller is fired: what the recipe says,
// and with auto what its driver measures. Where it cannot, the users are told, and the run
// goes on with the rest. Whoever else of this PC does so waits: questions that share its
// processors would hold each other up.
func (eq *equipment) compensate(ctx context.Context) {
	asked, said := eq.s.recipe.Trigger.Compensation[eq.s.node.Name]
	if !said || eq.s.recipe.Trigger.Method != "scheduled" {
		return
	}
	if asked.Auto {
		defer takeTurn(ctx)()
		defer eq.stayAwake()() // as at the instant
	}
	for _, c := range eq.drivers {
		var path *fact.CommandPath
		var err error
		if asked.Auto {
			path, err = c.timeCommands(ctx)
		}
		eq.beEarly(c, compensationOf(asked, path, err))
	}
}

func (c *controller) timeCommands(ctx context.Context) (*fact.CommandPath, error) {
	ctx, cancel := context.WithTimeout(ctx, timingTimeout)
	defer cancel()
	return c.driver.TimeCommands(ctx, questions)
}

// beEarly has a controller fired earlier, and tells it.
func (eq *equipment) beEarly(c *controller, by fact.Compensation) {
	c.early.Compensation = by
	eq.s.reporter.queueNews(wire.News{Early: &wire.Early{Controller: c.recipe.Name, Compensation: by}})
	if by.Why != "" {
		eq.s.reporter.queueNews(wire.News{Warning: &wire.Warning{
			Message: fmt.Sprintf("controller %s: trigger.compensation: auto: nothing is compensated by measurement: %s", c.recipe.Name, by.Why),
			Hint:    "write a time instead: tsrun calibrate RUN proposes one after a run"}})
	}
	if path := by.Path; path != nil {
		eq.log.Info("the way of commands was measured", "controller", c.recipe.Name, "round_trip_ns", path.RoundTripNs, "spread_ns", path.SpreadNs,
			"there_ns", path.ThereNs, "doubt_ns", path.DoubtNs, "split_by", path.SplitBy, "compensation_ns", by.UsedNs)
		if c.driver.Device().Can.AnswersStart {
			back := path.RoundTripNs - path.ThereNs
			c.early.back = &back
		}
	}
}

// shareEarly has all controllers that were timed fired earlier alike, where the master
// has said so: those that are started anew within a run, too.
func (eq *equipment) shareEarly() {
	if eq.s.shared == nil {
		return
	}
	for _, c := range eq.drivers {
		c.early.Compensation = c.early.Shared(*eq.s.shared, mostEarly)
	}
}

// compensationOf puts together what the recipe says and what was measured.
func compensationOf(asked recipe.Compensation, path *fact.CommandPath, err error) fact.Compensation {
	n := fact.Compensation{RecipeNs: asked.Time.Duration().Nanoseconds(), Path: path, By: fact.ByRecipe}
	n.UsedNs = n.RecipeNs
	if !asked.Auto {
		return n
	}
	switch {
	case err != nil:
		n.Why = err.Error()
	case path == nil:
		n.Why = "the driver does not time its commands"
	case !path.Known():
		n.Why = fmt.Sprintf("of %d questions the way is %v, and that is known to %v: this PC or the device is busy",
			path.Questions, time.Duration(path.ThereNs), time.Duration(path.DoubtNs))
	default:
		there := path.ThereNs
		n.MeasuredNs, n.By = &there, fact.ByMeasurement
		n.UsedNs = min(max(there+n.RecipeNs, -mostEarly), mostEarly)
	}
	switch {
	case n.MeasuredNs == nil && n.RecipeNs == 0:
		n.By = fact.ByNothing
	case n.MeasuredNs != nil && n.RecipeNs != 0:
		n.By = fact.ByBoth
	}
	return n
}

// earliest is how long before the instant the first controller is fired; below 0: all
// are fired after it.
func (eq *equipment) earliest() (ahead time.Duration) {
	for i, c := range eq.drivers {
		if used := time.Duration(c.early.UsedNs); i == 0 || used > ahead {
			ahead = used
		}
	}
	return ahead
}

// note enters in a shot how much earlier its controller was fired, and what tells when
// it began.
func (e early) note(s *fact.Shot) {
	used := e.UsedNs
	s.CompensationNs, s.BackNs = &used, e.back
}

// follow has the compensation of a controller follow what its starts take, with auto.
func (eq *equipment) follow(c *controller) early {
	next := c.early.follow()
	if next.UsedNs != c.early.UsedNs {
		eq.log.Info("the compensation follows what starts take", "controller", c.recipe.Name, "was_ns", c.early.UsedNs, "is_ns", next.UsedNs, "took_ns", c.early.took)
	}
	return next
}
