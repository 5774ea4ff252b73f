import { openaiProfile } from './openai.profile.js';
import type { EmbeddingProfile } from './profile.js';

const HOSTS = ['.openai.azure.com', '.cognitiveservices.azure.com', '.services.ai.azure.com'];

/**
 * OpenAI's models at Azure. Both kinds of base URL will do: `…/openai/deployments/{name}/` with `?api-version=`, where the
 * deployment decides and the model of the body is ignored, and `…/openai/v1/`, where the model is the deployment's name.
 * The pool's headers hold the `api-key`, or the bearer token of Entra.
 *
 * @internal
 */
export const azureProfile: EmbeddingProfile = {
  name: 'azure',
  matches: ({ hostname }) => HOSTS.some((host) => hostname.endsWith(host)),
  limits: openaiProfile.limits!,
  classify: ({ code }) => {
    // The content filter names no text, but it is one of them that it dislikes.
    if (code === 'content_filter' || code === 'ResponsibleAIPolicyViolation') return 'input';
    return code === 'DeploymentNotFound' ? 'config' : undefined;
  },
};
