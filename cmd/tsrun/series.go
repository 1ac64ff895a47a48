package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/master"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/series"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
)

// beginSeries takes a run for each value of what varies in a recipe.
func beginSeries(ctx context.Context, f *runFlags, path string, resolved *recipe.Resolved, dirs []string) error {
	s, err := series.Begin(f.runs, resolved, time.Now())
	if err != nil {
		return failure(err)
	}
	return takeSeries(ctx, f, path, s, dirs)
}

// resumeSeries goes on with a series that was ended, however.
func resumeSeries(ctx context.Context, f *runFlags, dir string) error {
	s, err := series.Open(dir)
	if err != nil {
		return failure(err)
	}
	dirs, err := f.plugins.all()
	if err != nil {
		return err
	}
	path := s.Recipe[0].Path
	resolved, err := loadRecipe(path, s.Set, dirs)
	if err != nil {
		return err
	}
	if err := s.Unchanged(resolved.Files); err != nil {
		return failure(err)
	}
	return takeSeries(ctx, f, path, s, dirs)
}

func takeSeries(ctx context.Context, f *runFlags, path string, s *series.Series, dirs []string) error {
	err := s.Run(ctx, func(ctx context.Context, number int, set []string, dir string) (*run.Manifest, string, error) {
		fmt.Fprintf(os.Stderr, "shot %d of %d: %s\n", number, s.Scan.Runs(), text.Printable(strings.Join(set, ", ")))
		resolved, err := recipe.Load(path, recipe.Options{Set: slices.Concat(s.Set, set), Catalog: newCatalog(path, dirs), Stages: stage.Kinds(), Shot: true})
		if err != nil {
			return nil, "", err
		}
		if err := s.Unchanged(resolved.Files); err != nil {
			return nil, "", err
		}
		outcome, err := runRecipe(ctx, f, path, master.Options{Recipe: resolved, Runs: dir, PluginDirs: dirs})
		var code *exitError
		switch {
		case errors.As(err, &code) && code.code == exitInterrupted:
			return nil, "", series.ErrStopped
		case outcome != nil: // its condition says how it is
			return outcome.Manifest, outcome.Directory, nil
		case code != nil && code.err == nil:
			return nil, "", errors.New("a node refused it, as was told")
		}
		return nil, "", err
	})
	fmt.Fprintf(os.Stderr, "series: %d of %d runs, %d of them not GOOD; %s\n", len(s.Shots), s.Scan.Runs(), s.Failed(), s.Dir())
	switch {
	case errors.Is(err, series.ErrStopped):
		fmt.Fprintf(os.Stderr, "go on with: tsrun resume %s\n", s.Dir())
		return &exitError{exitInterrupted, nil}
	case err != nil:
		return failure(err)
	case s.Failed() > 0:
		return &exitError{exitNotGood, nil}
	}
	return nil
}
