/* A mail plugin for Dovecot 2.4: tell an idling client of new mail when the kernel tells of it.
 *
 * For: the pipeline that the bench compares with. Dovecot itself waits 500 ms, so as to gather changes; next to
 * that delay nothing could be compared. Not for production.
 *
 * A mailbox's `notify_changes` is replaced by two watches (inotify) on the maildir's directories.
 */
#include "lib.h"
#include "ioloop.h"
#include "module-context.h"
#include "mail-storage-private.h"
#include "mail-storage-hooks.h"

static const char *const watched[] = { "new", "cur" };

struct push_mailbox {
	union mailbox_module_context module_ctx;
	struct io *watches[N_ELEMENTS(watched)];
};

static MODULE_CONTEXT_DEFINE_INIT(push_storage_module, &mail_storage_module_register);
#define PUSH_MAILBOX(box) MODULE_CONTEXT_REQUIRE(box, push_storage_module)

const char *prompt_push_plugin_version = DOVECOT_ABI_VERSION;

static void stop_watching(struct push_mailbox *push)
{
	for (unsigned int i = 0; i < N_ELEMENTS(watched); i++)
		io_remove(&push->watches[i]);
}

static void tell(struct mailbox *box)
{
	if (box->notify_callback != NULL)
		box->notify_callback(box, box->notify_context);
}

static bool start_watching(struct mailbox *box, struct push_mailbox *push)
{
	const char *directory;

	if (mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_MAILBOX, &directory) <= 0)
		return FALSE;
	for (unsigned int i = 0; i < N_ELEMENTS(watched); i++) {
		const char *path = t_strdup_printf("%s/%s", directory, watched[i]);

		if (io_add_notify(path, tell, box, &push->watches[i]) != IO_NOTIFY_ADDED)
			return FALSE;
	}
	return TRUE;
}

static void push_notify_changes(struct mailbox *box)
{
	struct push_mailbox *push = PUSH_MAILBOX(box);

	stop_watching(push);
	if (box->notify_callback == NULL || !start_watching(box, push)) {
		stop_watching(push);
		push->module_ctx.super.notify_changes(box);
	}
}

static void push_close(struct mailbox *box)
{
	struct push_mailbox *push = PUSH_MAILBOX(box);

	stop_watching(push);
	push->module_ctx.super.close(box);
}

static void push_mailbox_allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *functions = box->vlast;
	struct push_mailbox *push = p_new(box->pool, struct push_mailbox, 1);

	push->module_ctx.super = *functions;
	box->vlast = &push->module_ctx.super;
	functions->notify_changes = push_notify_changes;
	functions->close = push_close;
	MODULE_CONTEXT_SET(box, push_storage_module, push);
}

static struct mail_storage_hooks push_hooks = { .mailbox_allocated = push_mailbox_allocated };

void prompt_push_plugin_init(struct module *module)
{
	mail_storage_hooks_add(module, &push_hooks);
}

void prompt_push_plugin_deinit(void)
{
	mail_storage_hooks_remove(&push_hooks);
}
