"""The backend of endpoints: this app again, Azure OpenAI, or any server compatible with OpenAI's."""
