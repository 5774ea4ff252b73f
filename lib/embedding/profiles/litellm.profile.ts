import type { EmbeddingProfile } from './profile.js';

/**
 * A LiteLLM proxy, which stands before any other server: so its limits are those of an unknown one. It names the class of
 * its exceptions in the message, and that says more than the status, which is 500 for much that will not change.
 *
 * @internal
 */
export const litellmProfile: EmbeddingProfile = {
  name: 'litellm',
  // The spelling is LiteLLM's. It needs no key and asks no model.
  probe: { method: 'GET', path: '/health/liveliness' },
  classify: ({ status, message = '' }) => {
    if (message.includes('UnsupportedParamsError')) return 'unsupported';
    if (message.includes('ContextWindowExceededError')) return 'too-long';
    if (message.includes('ContentPolicyViolationError')) return 'input';
    if (message.includes('BudgetExceededError') || message.includes('Budget has been exceeded')) return 'quota';
    return status === 400 && message.includes('Invalid model name') ? 'config' : undefined;
  },
};
