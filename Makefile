# `make` lists the targets. `make test` and `make demo` work on a fresh Debian machine with Rust:
# they install the packages that are missing, as root or with sudo.

PHP ?= php
PHP_CONFIG ?= php-config
PHPUNIT ?= $$(command -v phpunit)
CARGO ?= cargo
# The versions of Cargo.lock and no others, whatever is newer.
CARGO_LOCKED := --locked
CARGO_FLAGS ?=
ORDERS ?= 20000
SEED ?= 1
SOAK_S ?= 1800

EXTENSION := $(CURDIR)/target/release/libwrite_buffer.so
RUN_PHP = env PHP='$(PHP)' WRITE_BUFFER_EXTENSION='$(EXTENSION)' '$(CURDIR)/scripts/php-with-extension'
ZTS_PHP := $(CURDIR)/target/zts-php
ZTS_EXTENSION := $(CURDIR)/target/zts/release/libwrite_buffer.so
WITH_MARIADB := '$(CURDIR)/scripts/with-mariadb'
WITH_MYSQL := '$(CURDIR)/scripts/with-mysql'
# Those tests of the engine that need a server.
TEST_LEDGER = $(CARGO) test --quiet --package write-buffer-core --test takeover $(CARGO_LOCKED) $(CARGO_FLAGS) -- --ignored
PHPUNIT_FLAGS := --colors=never --do-not-cache-result
# What scripts/in-laravel runs, in the tree of the target's LARAVEL. PHPUnit 13 has another name for
# a flag. Deprecations of Laravel and PHP are failures there.
LARAVEL_EXTENSION = $(CURDIR)/target/laravel$(LARAVEL)/release/libwrite_buffer.so
LARAVEL_PHPUNIT = '$(CURDIR)/scripts/in-laravel' $(LARAVEL) env WRITE_BUFFER_EXTENSION='$(LARAVEL_EXTENSION)' \
	'$(CURDIR)/scripts/php-with-extension' /usr/bin/phpunit --colors=never $(LARAVEL_PHPUNIT_FLAGS) \
	--display-all-issues --fail-on-deprecation --fail-on-phpunit-deprecation --fail-on-notice

# rustup puts cargo there; a shell may not have read its profile.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
# The build wants absolute paths, and rebuilds everything if these variables change, even to the
# same PHP: pass them only if they differ from the default.
ifneq ($(PHP),php)
BUILD_ENV += PHP="$$(command -v $(PHP))"
endif
ifneq ($(PHP_CONFIG),php-config)
BUILD_ENV += PHP_CONFIG="$$(command -v $(PHP_CONFIG))"
endif
unexport PHP PHP_CONFIG

.DEFAULT_GOAL := help
.PHONY: help build build-fault-proxy build-hostile-server check test test-core test-php test-instructions update-instructions \
	test-mysql test-process test-chaos-short test-mutations test-chaos test-soak test-exchange test-laravel build-laravel10 build-laravel13 \
	test-laravel10 test-laravel13 test-php84 test-zts demo build-bench bench \
	bench-journal bench-lanes bench-short lint audit install uninstall clean

help: ## list the targets
	@echo 'make TARGET; variables: ORDERS, SEED (demo), SOAK_S (test-soak), PHP, PHP_CONFIG, DESTDIR (install)'
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

build: ## build the extension: target/release/libwrite_buffer.so
	@scripts/install-packages build
	@echo 'building the extension'
	@$(BUILD_ENV) $(CARGO) build --release --quiet $(CARGO_LOCKED) $(CARGO_FLAGS)

# A debug build takes seconds after a change, and finds overflows.
check: EXTENSION := $(CURDIR)/target/debug/libwrite_buffer.so
check: lint ## run lint, and the tests that need no server: for every change, in less than two minutes
	@scripts/install-packages test
	@echo 'testing the engine'
	@$(CARGO) test --quiet --package write-buffer-core --package write-buffer-journal \
		--package write-buffer-fault-proxy --package write-buffer-hostile-server $(CARGO_LOCKED) $(CARGO_FLAGS)
	@echo 'testing the extension without a server'
	@$(BUILD_ENV) $(CARGO) build --quiet $(CARGO_LOCKED) $(CARGO_FLAGS)
	@$(RUN_PHP) $(PHPUNIT) $(PHPUNIT_FLAGS) --testsuite unit

test: test-core test-php test-instructions test-mysql test-process test-chaos-short test-exchange test-laravel ## run all tests

test-core: ## run the tests of the engine (Rust)
	@scripts/install-packages build test
	@echo 'testing the engine'
	@$(WITH_MARIADB) $(CARGO) test --quiet --package write-buffer-core --package write-buffer-journal \
		--package write-buffer-fault-proxy --package write-buffer-hostile-server $(CARGO_LOCKED) $(CARGO_FLAGS)
	@echo 'testing the ledger'
	@$(WITH_MARIADB) $(TEST_LEDGER)

test-php: build ## run the tests of the extension (PHPUnit, on a throwaway MariaDB)
	@scripts/install-packages test
	@echo 'testing the extension'
	@$(WITH_MARIADB) $(RUN_PHP) $(PHPUNIT) $(PHPUNIT_FLAGS) --testsuite unit,integration

test-instructions: build ## count the instructions of an order by callgrind, and compare them with bench/instructions.json
	@scripts/install-packages test
	@echo 'counting instructions'
	@$(WITH_MARIADB) $(RUN_PHP) bench/check-instructions.php

update-instructions: build ## write bench/instructions.json anew
	@scripts/install-packages test
	@$(WITH_MARIADB) $(RUN_PHP) bench/check-instructions.php update

test-mysql: build ## run those tests that are about the server on MySQL, fetched once
	@scripts/install-packages test
	@status=0; scripts/fetch-mysql >/dev/null || status=$$?; \
		if [ $$status -eq 77 ]; then \
			echo 'test-mysql: NOTHING WAS TESTED ON MYSQL, which cannot be had here: the reason is above' >&2; \
			exit 0; \
		elif [ $$status -ne 0 ]; then \
			exit $$status; \
		fi; \
		echo 'testing the ledger on MySQL'; \
		$(WITH_MYSQL) $(TEST_LEDGER) || exit $$?; \
		echo 'testing the extension on MySQL'; \
		$(WITH_MYSQL) $(RUN_PHP) $(PHPUNIT) $(PHPUNIT_FLAGS) --testsuite integration,process \
			--filter 'Integration|Twin|OutageTest' || exit $$?; \
		echo 'testing the Laravel package on MySQL'; \
		cd laravel && $(WITH_MYSQL) $(RUN_PHP) $(PHPUNIT) $(PHPUNIT_FLAGS)

test-process: build ## run the tests of the extension's life in PHP processes: ends, forks, signals, php-fpm
	@scripts/install-packages test
	@echo 'testing the extension in processes of their own'
	@fpm=$$(scripts/fetch-fpm) && $(WITH_MARIADB) env PHP_FPM="$$fpm" $(RUN_PHP) $(PHPUNIT) $(PHPUNIT_FLAGS) \
		--testsuite process

build-hostile-server:
	@scripts/install-packages build
	@$(CARGO) build --release --quiet --package write-buffer-hostile-server $(CARGO_LOCKED) $(CARGO_FLAGS)

build-fault-proxy:
	@scripts/install-packages build
	@$(CARGO) build --release --quiet --package write-buffer-fault-proxy $(CARGO_LOCKED) $(CARGO_FLAGS)

test-chaos-short: build build-fault-proxy build-hostile-server
	@scripts/install-packages test galera
	@scripts/test-chaos short $(RUN_PHP) $(PHPUNIT) $(PHPUNIT_FLAGS)

test-mutations: ## take one safeguard out of the journal at a time, and demand that a test fails
	@scripts/install-packages build test
	@echo 'taking safeguards out of the journal'
	@$(WITH_MARIADB) scripts/test-mutations

test-chaos: build build-fault-proxy build-hostile-server ## run the tests that kill servers, cut connections and fill disks, and random programs, at length
	@scripts/install-packages test galera
	@echo 'testing the connection by a million damaged sessions'
	@WRITE_BUFFER_WIRE_CASES=1000000 $(CARGO) test --release --quiet --package write-buffer-core --lib $(CARGO_FLAGS) \
		wire::tests::fuzz
	@echo 'testing the journal by 100,000 power cuts'
	@WRITE_BUFFER_POWER_CUTS=100000 $(CARGO) test --release --quiet --package write-buffer-journal $(CARGO_LOCKED) \
		$(CARGO_FLAGS) --test power_model
	@$(MAKE) --no-print-directory test-mutations
	@scripts/test-chaos full $(RUN_PHP) $(PHPUNIT) $(PHPUNIT_FLAGS)

test-soak: build ## harm tables and servers for SOAK_S seconds on each server while processes write, and say how late rows were
	@scripts/install-packages test
	@WRITE_BUFFER_SOAK_S='$(SOAK_S)' scripts/test-chaos soak $(RUN_PHP) $(PHPUNIT) $(PHPUNIT_FLAGS)

test-exchange: build ## run the tests of the Laravel example (PHPUnit, on a throwaway MariaDB), under real servers too
	@scripts/install-packages test
	@echo 'testing the example'
	@fpm=$$(scripts/fetch-fpm) && cd examples/spot-exchange && $(WITH_MARIADB) env PHP_FPM="$$fpm" $(RUN_PHP) \
		$(PHPUNIT) $(PHPUNIT_FLAGS)

test-laravel: build ## run the tests of the Laravel package (PHPUnit, Laravel 8.83, on a throwaway MariaDB)
	@scripts/install-packages test
	@echo 'testing the Laravel package'
	@fpm=$$(scripts/fetch-fpm) && cd laravel && $(WITH_MARIADB) env PHP_FPM="$$fpm" $(RUN_PHP) \
		$(PHPUNIT) $(PHPUNIT_FLAGS)

build-laravel10 test-laravel10: LARAVEL := 10
test-laravel10: LARAVEL_PHPUNIT_FLAGS := --do-not-cache-result
build-laravel13 test-laravel13 test-php84: LARAVEL := 13
test-laravel13 test-php84: LARAVEL_PHPUNIT_FLAGS := --do-not-record-test-run-history

# Builds on the machine itself, with the headers of that PHP: a newer libc runs what is linked with
# an older one.
build-laravel10 build-laravel13:
	@scripts/install-packages build
	@scripts/fetch-laravel $(LARAVEL) >/dev/null
	@echo 'building the extension for the PHP of Laravel $(LARAVEL)'
	@LARAVEL=$(LARAVEL) PHP='$(CURDIR)/scripts/laravel/php' PHP_CONFIG='$(CURDIR)/scripts/laravel/php-config' \
		$(CARGO) build --release --quiet --target-dir target/laravel$(LARAVEL) $(CARGO_LOCKED) $(CARGO_FLAGS)

test-laravel10: build-laravel10 ## run the tests of the Laravel package, and the example's, on Laravel 10 and PHP 8.4, fetched once
test-laravel13: build-laravel13 ## the same on Laravel 13
test-laravel10 test-laravel13:
	@scripts/install-packages test
	@echo 'testing the Laravel package on Laravel $(LARAVEL)'
	@cd laravel && $(WITH_MARIADB) $(LARAVEL_PHPUNIT)
	@echo 'testing the Laravel package on Laravel $(LARAVEL) and MySQL'
	@cd laravel && $(WITH_MYSQL) $(LARAVEL_PHPUNIT)
	@echo 'testing the example on Laravel $(LARAVEL)'
	@cd examples/spot-exchange && $(WITH_MARIADB) $(LARAVEL_PHPUNIT)

test-php84: build-laravel13 ## run the tests of the extension, but for php-fpm, on the PHP 8.4 and PHPUnit 13 of test-laravel13
	@scripts/install-packages test
	@echo 'testing the extension on PHP 8.4'
	@$(WITH_MARIADB) $(LARAVEL_PHPUNIT) --testsuite unit,integration
	@$(WITH_MARIADB) $(LARAVEL_PHPUNIT) php-tests/Process

test-zts: ## run the tests of the extension on a thread-safe debug PHP, built from source once
	@scripts/install-packages build test
	@PHP='$(PHP)' scripts/build-zts-php '$(ZTS_PHP)'
	@echo 'building the extension for the thread-safe PHP'
	@PHP='$(ZTS_PHP)/bin/php' PHP_CONFIG='$(ZTS_PHP)/bin/php-config' \
		$(CARGO) build --release --quiet --target-dir target/zts $(CARGO_LOCKED) $(CARGO_FLAGS)
	@echo 'testing the extension on the thread-safe PHP'
	@$(WITH_MARIADB) php-tests/Zts/run '$(ZTS_PHP)' '$(ZTS_EXTENSION)'

demo: build ## save ORDERS orders by Eloquent, by PHP and by the extension, and compare the tables
	@scripts/install-packages demo
	@echo 'matching $(ORDERS) orders on a throwaway MariaDB'
	@$(WITH_MARIADB) $(RUN_PHP) examples/spot-exchange/artisan exchange:demo --orders=$(ORDERS) --seed=$(SEED)

build-bench: build
	@scripts/install-packages bench
	@$(CARGO) build --release --quiet --package write-buffer-bench $(CARGO_LOCKED) $(CARGO_FLAGS)

bench: build-bench ## measure the extension beside other ways, and beside the server's own limit: about an hour
	@bench/run

bench-journal: build ## measure a buffer with a journal beside one without, on MariaDB
	@$(WITH_MARIADB) $(RUN_PHP) bench/journal.php

bench-lanes: build ## measure how groups are spread over lanes, on MariaDB
	@$(WITH_MARIADB) $(RUN_PHP) bench/lanes.php new
	@$(WITH_MARIADB) $(RUN_PHP) bench/lanes.php hot

bench-short: build-bench ## the same in some minutes, on MariaDB, for a look: figures not for keeping
	@bench/run --short

lint: ## check formatting, clippy, PHP syntax and style, composer.json, shell scripts, lengths, import circles and licences
	@scripts/install-packages build lint
	@echo 'checking Rust'
	@$(CARGO) fmt --all --check
	@$(BUILD_ENV) $(CARGO) clippy --quiet --workspace --all-targets $(CARGO_LOCKED) $(CARGO_FLAGS) -- -D warnings
	@echo 'checking PHP'
	@PHP='$(PHP)' scripts/lint-php
	@echo 'checking shell scripts'
	@scripts/lint-shell
	@echo 'checking comment lines, long files and import circles'
	@PHP='$(PHP)' scripts/lint-structure
	@echo 'checking licences'
	@PHP='$(PHP)' CARGO='$(CARGO)' scripts/lint-licences

audit: ## compare Cargo.lock with the advisories of RustSec, which are fetched
	@PHP='$(PHP)' scripts/check-advisories

install: ## install what `make build` built into PHP, and enable it
	@PHP_CONFIG='$(PHP_CONFIG)' DESTDIR='$(DESTDIR)' scripts/install-extension install

uninstall: ## disable and remove the installed extension
	@PHP_CONFIG='$(PHP_CONFIG)' DESTDIR='$(DESTDIR)' scripts/install-extension uninstall

clean: ## remove everything that was built
	@$(CARGO) clean --quiet
