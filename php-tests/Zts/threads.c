/*
 * Runs a PHP script in several threads of one process, as FrankenPHP and other threaded servers do:
 * each thread has an interpreter of its own and serves several requests, one after the other; all
 * threads share the extension's code and whatever it keeps for the process.
 *
 *   threads SETTINGS THREADS REQUESTS SCRIPT [ARGUMENT...]
 *
 * SETTINGS is text as in php.ini. The script finds in $argv its thread's number, its request's
 * number and the arguments. The threads begin their first request at the same moment. Exits with 1
 * when a request ended with an exit status other than 0, and with 2 when it could not run at all.
 * PHP writes errors to stdout; a debug PHP writes what a request leaked to stderr.
 *
 * Needs a thread-safe PHP with its embed library: see scripts/build-zts-php. php-tests/Zts/run
 * compiles it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "sapi/embed/php_embed.h"

#ifndef ZTS
# error "this PHP is not thread-safe"
#endif

#define THREADS_MAX 64
#define REQUESTS_MAX 10000
#define ARGUMENTS_MAX 8

/* Written before the first thread begins, and only read afterwards. */
static int request_count;
static char *script;
static char **script_arguments;
static int script_argument_count;

static pthread_barrier_t all_are_ready;
static atomic_int failed_requests;

static int run_request(int thread, int request)
{
	char thread_text[16], request_text[16];
	char *arguments[3 + ARGUMENTS_MAX] = {script, thread_text, request_text};
	zend_file_handle file;
	int status;

	snprintf(thread_text, sizeof thread_text, "%d", thread);
	snprintf(request_text, sizeof request_text, "%d", request);
	for (int i = 0; i < script_argument_count; i++) {
		arguments[3 + i] = script_arguments[i];
	}
	SG(request_info).argc = 3 + script_argument_count;
	SG(request_info).argv = arguments;
	/* The working directory belongs to the process. */
	SG(options) |= SAPI_OPTION_NO_CHDIR;

	if (php_request_startup() == FAILURE) {
		return 1;
	}
	SG(headers_sent) = 1;
	SG(request_info).no_headers = 1;

	zend_stream_init_filename(&file, script);
	file.primary_script = 1;
	/* exit() and fatal errors end inside of php_execute_script(). */
	php_execute_script(&file);
	status = EG(exit_status);
	zend_destroy_file_handle(&file);
	php_request_shutdown(NULL);
	/* The arguments point into this frame. */
	SG(request_info).argc = 0;
	SG(request_info).argv = NULL;
	return status;
}

static void *run_thread(void *number)
{
	int thread = (int) (intptr_t) number;

	/* Makes the thread's interpreter. */
	(void) ts_resource(0);
	pthread_barrier_wait(&all_are_ready);
	for (int request = 0; request < request_count; request++) {
		if (run_request(thread, request) != 0) {
			atomic_fetch_add(&failed_requests, 1);
		}
	}
	ts_free_thread();
	return NULL;
}

static void fail(const char *message)
{
	fprintf(stderr, "threads: %s\n", message);
	exit(2);
}

static int number_of(const char *text, int max)
{
	int number = atoi(text);

	if (number < 1 || number > max) {
		fail("a number is out of range");
	}
	return number;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	int thread_count;

	if (argc < 5 || argc > 5 + ARGUMENTS_MAX) {
		fail("usage: threads SETTINGS THREADS REQUESTS SCRIPT [ARGUMENT...]");
	}
	thread_count = number_of(argv[2], THREADS_MAX);
	request_count = number_of(argv[3], REQUESTS_MAX);
	script = argv[4];
	script_arguments = argv + 5;
	script_argument_count = argc - 5;

	/* As every PHP does. If a server goes away, a write fails, and the process goes on. */
	signal(SIGPIPE, SIG_IGN);
	php_tsrm_startup();
	zend_signal_startup();
	sapi_startup(&php_embed_module);
	/* After sapi_startup(), which resets it. Later than php.ini's own settings, so it wins. */
	php_embed_module.ini_entries = argv[1];
	php_embed_module.executable_location = argv[0];
	if (php_embed_module.startup(&php_embed_module) == FAILURE) {
		fail("PHP does not start");
	}

	/* The main thread's interpreter starts and ends the modules, and serves no request. */
	if (pthread_barrier_init(&all_are_ready, NULL, (unsigned) thread_count) != 0) {
		fail("no barrier");
	}
	for (int i = 0; i < thread_count; i++) {
		if (pthread_create(&threads[i], NULL, run_thread, (void *) (intptr_t) i) != 0) {
			fail("no thread");
		}
	}
	for (int i = 0; i < thread_count; i++) {
		pthread_join(threads[i], NULL);
	}

	php_module_shutdown();
	sapi_shutdown();
	tsrm_shutdown();
	php_embed_module.ini_entries = NULL;
	return atomic_load(&failed_requests) == 0 ? 0 : 1;
}
